"""Recurrent layers, which stay float: what is rounded in one step comes back in the next, and gates make much of it."""

import torch
from torch import fx

from edgekit.model.graph import module_path

_aten = torch.ops.aten
_LAYERS = {
    _aten.lstm.input, _aten.gru.input, _aten.rnn_tanh.input, _aten.rnn_relu.input,
    _aten.lstm_cell.default, _aten.gru_cell.default, _aten.rnn_tanh_cell.default, _aten.rnn_relu_cell.default,
}  # fmt: skip


def note(graph: fx.Graph) -> str | None:
    """Name the recurrent layers of a captured graph, for a reader of the report; None if there are none."""
    names = dict.fromkeys(module_path(node) or node.name for node in _nodes(graph))
    return (
        f"Recurrent layers compute in float, their weights are stored as float: {', '.join(names)}." if names else None
    )


def weights(graph: fx.Graph) -> int:
    """Return how many weights the recurrent layers have."""
    stored = {source for node in _nodes(graph) for source in node.all_input_nodes if _is_held(source)}
    return sum(node.meta["val"].numel() for node in stored)


def _nodes(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "call_function" and node.target in _LAYERS]


def _is_held(node: fx.Node) -> bool:
    return node.op == "get_attr" or (node.op == "placeholder" and node.name.startswith(("p_", "b_")))

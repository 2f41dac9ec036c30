"""Recurrent layers: their weights are stored as integers, and their steps compute in float.

What is rounded in one step comes back in the next, and gates make much of it, so no activation is rounded.
"""

import torch
from torch import fx
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpecBase

from edgekit.model.graph import is_recurrent, module_path
from edgekit.quantization.configuration import weight
from edgekit.quantization.grouping import ANNOTATION
from edgekit.spec import QuantSpec


def annotate_recurrent(graph: fx.Graph, spec: QuantSpec) -> None:
    """Mark the weights of recurrent layers to be stored in 8 bits, with a scale for each output of each gate, in place.

    Args:
        graph: A captured float graph.
        spec: Says how ranges of weights are chosen.
    """
    for node in graph.nodes:
        if is_recurrent(node):
            specs: dict[fx.Node, QuantizationSpecBase | None] = {one: weight(spec) for one in weights(node)}
            node.meta[ANNOTATION] = QuantizationAnnotation(input_qspec_map=specs, _annotated=True)


def weights(node: fx.Node) -> list[fx.Node]:
    """Return the weights of a recurrent layer, (gates * hidden, inputs or hidden); of those that are computed none."""
    held = [source for source in node.all_input_nodes if _is_held(source)]
    return [source for source in held if source.meta["val"].dim() == 2 and source.meta["val"].dtype == torch.float32]


def note(prepared: fx.Graph) -> str | None:
    """Name the recurrent layers whose weights are observed, for a reader of the report; None if there are none."""
    nodes = [node for node in prepared.nodes if is_recurrent(node)]
    observed = [node for node in nodes if any(source.op == "call_module" for source in node.all_input_nodes)]
    names = dict.fromkeys(module_path(node) or node.name for node in observed)
    return f"Recurrent layers compute in float, with weights of 8 bits: {', '.join(names)}." if names else None


def _is_held(node: fx.Node) -> bool:
    return node.op == "get_attr" or (node.op == "placeholder" and node.name.startswith(("p_", "b_")))

"""Graphs that were exported in training mode compute as they do in eval mode: dropout passes, batch norm is fixed."""

import torch
from torch import fx

_aten = torch.ops.aten
# The place of the argument that says whether the operation trains, by operation.
TRAIN = {
    _aten.batch_norm.default: 5,
    _aten.dropout.default: 2, _aten.feature_dropout.default: 2, _aten.alpha_dropout.default: 2,
    _aten.feature_alpha_dropout.default: 2, _aten.rrelu.default: 3,
    _aten.lstm.input: 6, _aten.gru.input: 6, _aten.rnn_tanh.input: 6, _aten.rnn_relu.input: 6,
}  # fmt: skip
_ATTENTION = _aten.scaled_dot_product_attention.default
_FUNCTIONAL = {_aten._native_batch_norm_legit_functional.default, _aten._native_batch_norm_legit.default}
_DROPOUT = _aten.native_dropout.default


def set_to_eval(module: fx.GraphModule) -> tuple[str, ...]:
    """Change what a graph computes only while it trains.

    Args:
        module: A graph with its own weights; changed in place.

    Returns:
        A note, if anything was changed.
    """
    changed = set()
    for node in list(module.graph.nodes):
        if node.op != "call_function":
            continue
        place = TRAIN.get(node.target)
        if place is not None and len(node.args) > place and node.args[place] is True:
            node.args = (*node.args[:place], False, *node.args[place + 1 :])
            changed.add(_name(node))
        elif node.target is _ATTENTION and len(node.args) > 4 and node.args[4]:
            node.args = (*node.args[:4], 0.0, *node.args[5:])
            changed.add(_name(node))
        elif node.target is _ATTENTION and node.kwargs.get("dropout_p"):
            node.kwargs = {**node.kwargs, "dropout_p": 0.0}
            changed.add(_name(node))
        elif node.target in _FUNCTIONAL and node.args[5] is True:
            changed.add(_name(node))
            node.target = _aten._native_batch_norm_legit_no_training.default
            node.args = (*node.args[:5], *node.args[6:])
            _without_statistics(node)
        elif node.target is _DROPOUT:
            changed.add(_name(node))
            _passed_on(node)
    if changed:
        _without_counting(module)
        module.graph.eliminate_dead_code()
        module.recompile()
        return (f"Exported in training mode ({', '.join(sorted(changed))}): built as in eval mode.",)
    return ()


def _without_counting(module: fx.GraphModule) -> None:
    """Drop the writes to the statistics of batch norms, which a graph in eval mode only reads."""
    for node in reversed(module.graph.nodes):
        writes = node.op == "call_function" and getattr(node.target, "__name__", "").startswith(("copy_", "add_."))
        if writes and isinstance(node.args[0], fx.Node) and node.args[0].op == "get_attr" and not node.users:
            path = str(node.args[0].target)
            if path.endswith(("num_batches_tracked", "running_mean", "running_var")):
                module.graph.erase_node(node)


def _without_statistics(node: fx.Node) -> None:
    """Let nothing read the new statistics: without training there are none."""
    for user in list(node.users):
        number = user.args[1] if len(user.args) > 1 else None
        if isinstance(number, int) and number > 2:
            user.replace_all_uses_with(node.args[number])  # type: ignore[arg-type]
            user.graph.erase_node(user)


def _passed_on(node: fx.Node) -> None:
    for user in list(node.users):
        if len(user.args) > 1 and user.args[1] == 0:
            user.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
            user.graph.erase_node(user)
    if not node.users:
        node.graph.erase_node(node)


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "_opname", node.target))

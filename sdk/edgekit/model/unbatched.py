"""A program of one sample becomes one of a batch of one: layers then have the shapes that quantizer and delegates know.

A model that takes ``[3, 32, 32]`` is traced between ``squeeze(0)`` and ``unsqueeze(0)``. Here the batch is carried on:
where an operation has a form with a batch of one in front, that form takes its place, and the squeezes fall away. Any
other is given the one sample, and gets its batch back afterwards. Either way the program computes the same.
"""

from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.fx.node import map_arg

_aten = torch.ops.aten
_Args = tuple[Any, ...]
_Carried = dict[fx.Node, fx.Node]
# Layers whose first argument has a batch or none, with its rank where it has none.
_LAYERS = {
    _aten.conv1d.default: 2, _aten.conv2d.default: 3, _aten.conv3d.default: 4,
    _aten.conv1d.padding: 2, _aten.conv2d.padding: 3, _aten.conv3d.padding: 4,
    _aten.conv_transpose1d.default: 2, _aten.conv_transpose2d.input: 3, _aten.conv_transpose3d.input: 4,
    _aten.max_pool1d.default: 2, _aten.max_pool2d.default: 3, _aten.max_pool3d.default: 4,
    _aten.avg_pool1d.default: 2, _aten.avg_pool2d.default: 3, _aten.avg_pool3d.default: 4,
    _aten.adaptive_avg_pool1d.default: 2, _aten.adaptive_avg_pool2d.default: 3,
}  # fmt: skip
# What computes along the last axes alone, or element by element without being marked so.
_TRAILING = {
    _aten.linear.default, _aten.layer_norm.default, _aten.contiguous.default, _aten.to.dtype, _aten.dropout.default,
    _aten.hardswish.default, _aten.log_sigmoid.default,
}  # fmt: skip
# What has a dimension, or several, for its second argument.
_ALONG = {
    _aten.mean.dim, _aten.sum.dim_IntList, _aten.amax.default, _aten.amin.default, _aten.softmax.int,
    _aten.log_softmax.int, _aten.argmax.default, _aten.squeeze.dim, _aten.squeeze.dims, _aten.select.int,
    _aten.slice.Tensor, _aten.unsqueeze.default,
}  # fmt: skip
_JOINED = {_aten.cat.default, _aten.stack.default}


def carry_batch(program: ExportedProgram) -> None:
    """Carry the batch of one through a program, whose graph is changed in place."""
    graph, carried = program.graph, _Carried()
    for node in list(graph.nodes):
        if node.op not in ("call_function", "output"):
            continue
        first: Any = node.args[0] if node.args else None
        if _drops_front(node) and first not in carried:
            carried[node] = first  # what was squeezed, a batch of one
        elif node.target is _aten.unsqueeze.default and first in carried and node.args[1] in (0, -_rank(node)):
            if carried[first].op == "call_function":  # an output is never an input
                program.graph_signature.replace_all_uses(node.name, carried[first].name)
                node.replace_all_uses_with(carried[first])
        elif any(one in carried for one in node.all_input_nodes):
            _carry(graph, node, carried)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _carry(graph: fx.Graph, node: fx.Node, carried: _Carried) -> None:
    """Give an operation a form with a batch of one in front, or the sample that it takes."""
    args = _form(node, carried) if isinstance(node.meta.get("val"), Tensor) and not node.kwargs else None
    if args is not None:
        carried[node] = _call(graph, node, node.target, args, before=node)
        return
    for one in dict.fromkeys(node.all_input_nodes):
        if one in carried and one not in carried[one].args:  # else it is the sample itself
            node.replace_input_with(one, _call(graph, one, _aten.squeeze.dim, (carried[one], 0), before=node))
    if isinstance(node.meta.get("val"), Tensor) and node.op == "call_function":
        carried[node] = _call(graph, node, _aten.unsqueeze.default, (node, 0), before=node.next)


def _form(node: fx.Node, carried: _Carried) -> _Args | None:
    """Return the arguments of an operation with a batch of one in front; None: it has no such form."""
    target: Any = node.target
    args: list[Any] = list(node.args)
    if torch.Tag.pointwise in getattr(target, "tags", ()):
        # What has fewer axes is stretched, and so is its batch: unless a constant has more axes than all of them.
        ranks = [_rank(one) for one in node.all_input_nodes if one in carried]
        return tuple(map_arg(args, lambda one: carried.get(one, one))) if max(ranks) == _rank(node) else None
    if target in _JOINED:
        parts, dim = args[0], args[1] if len(args) > 1 else 0
        return ([carried[one] for one in parts], _behind(dim)) if all(one in carried for one in parts) else None
    if target is _aten.embedding.default:
        return (args[0], carried[args[1]], *args[2:]) if args[0] not in carried else None
    if target is _aten.matmul.default:
        return _product(args[0], args[1], carried)
    if args[0] not in carried or any(one in carried for one in node.all_input_nodes if one is not args[0]):
        return None
    rest = _moved(target, _rank(args[0]), args[1:])
    return None if rest is None else (carried[args[0]], *rest)


def _moved(target: Any, rank: int, rest: list[Any]) -> list[Any] | None:
    """Return the other arguments of an operation on one tensor of this rank, once a batch of one is in front of it."""
    if target in _TRAILING or _LAYERS.get(target) == rank:
        return rest
    if target in (_aten.view.default, _aten.reshape.default) and all(isinstance(size, int) for size in rest[0]):
        return [[1, *rest[0]]]
    if target is _aten.flatten.using_ints and rank:
        return [_behind(one) for one in (*rest, *(0, -1)[len(rest) :])]
    if target is _aten.permute.default:
        return [[0, *(one % rank + 1 for one in rest[0])]]
    if target is _aten.transpose.int:
        return [_behind(one) for one in rest]
    if target in _ALONG and rest and rest[0] not in (None, []):
        return [_behind(rest[0]), *rest[1:]]
    return None


def _product(one: fx.Node, other: fx.Node, carried: _Carried) -> _Args | None:
    if one in carried and other in carried and _rank(one) == _rank(other) > 1:
        return carried[one], carried[other]
    return (carried[one], other) if one in carried and other not in carried and _rank(other) == 2 else None


def _behind(dim: Any) -> Any:
    """Return dimensions of a sample as those of a batch; what counts from the end stays."""
    if isinstance(dim, list | tuple):
        return [_behind(one) for one in dim]
    return dim + 1 if dim >= 0 else dim


def _drops_front(node: fx.Node) -> bool:
    """Whether an operation takes the one sample out of a batch of one."""
    first = node.args[0] if node.args else None
    if not isinstance(first, fx.Node) or not isinstance(first.meta.get("val"), Tensor):
        return False
    target: Any = node.target
    taken = {_aten.squeeze.dim: (0,), _aten.squeeze.dims: ([0],), _aten.select.int: (0, 0)}.get(target)
    shape = first.meta["val"].shape
    return node.args[1:] == taken and bool(shape) and isinstance(shape[0], int) and shape[0] == 1


def _rank(node: Any) -> int:
    return int(node.meta["val"].dim()) if isinstance(node, fx.Node) else 0


def _call(graph: fx.Graph, like: fx.Node, target: Any, args: _Args, *, before: fx.Node) -> fx.Node:
    with graph.inserting_before(before):
        made = graph.call_function(target, args)
    made.meta = dict(like.meta)
    with like.meta["val"].fake_mode:
        made.meta["val"] = target(*map_arg(args, lambda one: one.meta["val"]))
    return made

"""Running products and extremes over a dimension of fixed size, written by doubling: three steps for eight."""

import operator
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import evaluate

_aten = torch.ops.aten


def write_product(node: fx.Node) -> None:
    """Write running products, in place."""
    data, dim, *_ = list[Any](node.args)
    if not data.meta["val"].is_floating_point():  # of integers torch makes int64
        return
    if node.kwargs.get("dtype") is None and (found := _running(node, data, dim, _aten.mul.Tensor)) is not None:
        node.target, node.args, node.kwargs = _aten.clone.default, (found,), {}


def write_extremes(node: fx.Node) -> None:
    """Write running maxima or minima whose places nobody reads, in place."""
    data, dim = list[Any](node.args)
    users = [user for user in node.users if user.users]
    if any(user.target is not operator.getitem or user.args[1] != 0 for user in users):
        return
    join = _aten.maximum.default if node.target is _aten.cummax.default else _aten.minimum.default
    found = _running(node, data, dim, join)
    if found is None:
        return
    for user in list(node.users):
        if user in users:  # changed in place: the node may be an output, known by its name
            user.target, user.args = _aten.clone.default, (found,)
        else:
            node.graph.erase_node(user)
    node.graph.erase_node(node)


def _running(node: fx.Node, data: fx.Node, dim: int, join: Any) -> fx.Node | None:
    size = data.meta["val"].shape[dim] if data.meta["val"].dim() else None
    if not isinstance(size, int):
        return None
    found, reach = data, 1
    while reach < size:  # each value has joined so many before it, itself among them
        later = _call(node, _aten.slice.Tensor, found, dim, reach, size)
        earlier = _call(node, _aten.slice.Tensor, found, dim, 0, size - reach)
        start = _call(node, _aten.slice.Tensor, found, dim, 0, reach)
        found = _call(node, _aten.cat.default, [start, _call(node, join, later, earlier)], dim)
        reach *= 2
    return found


def _call(node: fx.Node, target: Any, *args: Any) -> fx.Node:
    with node.graph.inserting_before(node):
        added = node.graph.call_function(target, args)
    added.meta = {key: value for key, value in node.meta.items() if key != "val"}
    added.meta["val"] = evaluate(added)
    return added

"""Running products and extremes over a dimension of fixed size, written by doubling: three steps for eight."""

from typing import Any

import torch
from torch import fx

from edgekit.model.graph import add_before, put_values, reads_values_alone

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
    if not reads_values_alone(node):
        return
    join = _aten.maximum.default if node.target is _aten.cummax.default else _aten.minimum.default
    found = _running(node, data, dim, join)
    if found is not None:
        put_values(node, _aten.clone.default, found)


def _running(node: fx.Node, data: fx.Node, dim: int, join: Any) -> fx.Node | None:
    size = data.meta["val"].shape[dim] if data.meta["val"].dim() else None
    if not isinstance(size, int):
        return None
    found, reach = data, 1
    while reach < size:  # each value has joined so many before it, itself among them
        later = add_before(node, _aten.slice.Tensor, found, dim, reach, size)
        earlier = add_before(node, _aten.slice.Tensor, found, dim, 0, size - reach)
        start = add_before(node, _aten.slice.Tensor, found, dim, 0, reach)
        found = add_before(node, _aten.cat.default, [start, add_before(node, join, later, earlier)], dim)
        reach *= 2
    return found

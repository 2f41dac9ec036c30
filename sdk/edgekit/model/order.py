"""Values by their order along a dimension, the median for one: the last of so many largest, or least, ones."""

import operator
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import evaluate

_aten = torch.ops.aten


def write_median(node: fx.Node) -> None:
    """Write medians, the lower one of an even number of values, and their places, in place."""
    data, dim, *keep = list[Any](node.args)
    _write(node, data, dim, data.meta["val"].shape[dim] // 2 + 1, keeps=bool(keep and keep[0]), largest=True)


def write_least(node: fx.Node) -> None:
    """Write the values that so many are not larger than, and their places, in place."""
    data, count, *more = list[Any](node.args)
    dim, keeps = [*more, *(-1, False)[len(more) :]][:2]
    _write(node, data, dim, count, keeps=keeps, largest=False)


def _write(node: fx.Node, data: fx.Node, dim: int, count: Any, *, keeps: bool, largest: bool) -> None:
    if not isinstance(count, int):
        return
    node.target, node.args, node.kwargs = _aten.topk.default, (data, count, dim, largest, True), {}
    node.meta["val"] = evaluate(node)
    for user in list(node.users):
        if user.target is not operator.getitem or not user.users:
            continue
        with node.graph.inserting_before(user):
            found = node.graph.call_function(operator.getitem, (node, user.args[1]))
        found.meta = {**user.meta, "val": node.meta["val"][user.args[1]]}
        # Changed in place: the node may be an output, known by its name.
        target, end = (_aten.slice.Tensor, (count,)) if keeps else (_aten.select.int, ())
        user.target, user.args = target, (found, dim, count - 1, *end)

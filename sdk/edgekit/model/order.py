"""Values by their order along a dimension, the median for one: the last of so many largest, or least, ones.

And their places among bounds in order: how many of these are less.
"""

import operator
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import add_before, arguments, evaluate

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


def write_sorted(node: fx.Node) -> None:
    """Write values in order, and their places, as all of the largest, or least: no .pte sorts. In place."""
    # Of equal values the first comes first in an .onnx, and any in a .pte, even where a stable order is asked for:
    # neither has another form.
    if (wanted := _whole_order(node)) is not None:
        _write_largest(node, *wanted)


def write_quantile(node: fx.Node) -> None:
    """Write a known quantile as what lies between two values in order, in place."""
    given = arguments(node)
    data, share, dim = given["self"], given["q"], given["dim"]
    if dim is None or given["interpolation"] != "linear" or not isinstance(share, int | float):
        return
    count = data.meta["val"].shape[dim]
    if not isinstance(count, int):
        return
    place = share * (count - 1)
    first = min(int(place), max(count - 2, 0))
    values = add_before(node, operator.getitem, add_before(node, _aten.topk.default, data, count, dim, False, True), 0)
    below = add_before(node, _aten.slice.Tensor, values, dim, first, first + 1)
    above = add_before(node, _aten.slice.Tensor, values, dim, min(first + 1, count - 1), min(first + 1, count - 1) + 1)
    if not given["keepdim"]:
        below, above = (add_before(node, _aten.squeeze.dim, one, dim) for one in (below, above))
    node.target, node.args, node.kwargs = _aten.lerp.Scalar, (below, above, place - first), {}


def write_places_sorted(node: fx.Node) -> None:
    """Write the places of values in order as those of all of the largest, or least, in place."""
    if (wanted := _whole_order(node)) is not None:
        found = add_before(node, _aten.topk.default, *wanted, True)
        node.target, node.args, node.kwargs = operator.getitem, (found, 1), {}


def write_place(node: fx.Node) -> None:
    """Write the places of values among bounds in order as how many bounds do not lie behind them, in place."""
    given = arguments(node)
    bounds: Any = given.get("boundaries", given.get("sorted_sequence"))
    values = given["self"]
    if given.get("sorter") is not None or not isinstance(values, fx.Node):
        return
    behind = _aten.gt.Tensor if given["right"] or given.get("side") == "right" else _aten.ge.Tensor
    if bounds.meta["val"].dim() > 1:
        bounds = add_before(node, _aten.unsqueeze.default, bounds, -2)
    one = add_before(node, _aten.unsqueeze.default, values, -1)
    # What is no number lies behind all bounds, as torch has it, and is neither more nor less.
    before = add_before(node, _aten.logical_not.default, add_before(node, behind, bounds, one))
    kind = torch.int32 if given["out_int32"] else torch.int64
    node.target, node.args, node.kwargs = _aten.sum.dim_IntList, (before, [-1]), {"dtype": kind}


def _whole_order(node: fx.Node) -> tuple[fx.Node, int, int, bool] | None:
    """Return of what, how many, along which dimension, and whether the largest first; None: nobody knows how many."""
    given = arguments(node)
    data, dim = given["self"], given["dim"]
    count = data.meta["val"].shape[dim] if data.meta["val"].dim() else 1
    return (data, count, dim, given["descending"]) if isinstance(count, int) else None


def _write_largest(node: fx.Node, data: fx.Node, count: int, dim: int, largest: bool) -> None:
    """Let a node give the largest values, or the least, in order, and their places."""
    node.target, node.args, node.kwargs = _aten.topk.default, (data, count, dim, largest, True), {}
    node.meta["val"] = evaluate(node)


def _write(node: fx.Node, data: fx.Node, dim: int, count: Any, *, keeps: bool, largest: bool) -> None:
    if not isinstance(count, int):
        return
    _write_largest(node, data, count, dim, largest)
    for user in list(node.users):
        if user.target is not operator.getitem or not user.users:
            continue
        with node.graph.inserting_before(user):
            found = node.graph.call_function(operator.getitem, (node, user.args[1]))
        found.meta = {**user.meta, "val": node.meta["val"][user.args[1]]}
        # Changed in place: the node may be an output, known by its name.
        target, end = (_aten.slice.Tensor, (count,)) if keeps else (_aten.select.int, ())
        user.target, user.args = target, (found, dim, count - 1, *end)

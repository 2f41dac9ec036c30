"""Bags of embeddings of equal length: rows are read one by one and added, or averaged, as no format does it at once."""

import operator
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import evaluate

_aten = torch.ops.aten
_SUM, _MEAN, _MAX = range(3)


def write_bag(node: fx.Node) -> None:
    """Write an embedding bag of a matrix of indices, a bag in each row, as reads and a reduction, in place.

    Bags of other lengths, whose offsets a model is given, and the maximum of bags with padding are left as they are.
    """
    given: list[Any] = list(node.args)
    defaults: list[Any] = [None, None, None, False, _SUM, False, None, False, None]
    table, indices, offsets, _, mode, _, weights, last, padding = [*given, *defaults[len(given) :]]
    bags, shares = _matrix(indices), None if weights is None else _matrix(weights)
    length = None if bags is None else bags.meta["val"].shape[1]
    used = [user for user in node.users if user.users]
    if (
        bags is None
        or (weights is not None and shares is None)
        or not _is_every(offsets, length)
        or last
        or any(user.target is not operator.getitem or user.args[1] != 0 for user in used)
    ):
        return
    masked = padding is not None and padding >= 0
    if mode == _MAX and masked:
        return
    with node.graph.inserting_before(node):
        rows = _call(node, _aten.embedding.default, table, bags)
        count = None
        if masked:
            there = _call(node, _aten.ne.Scalar, bags, padding)
            mask = _call(node, _aten.to.dtype, there, rows.meta["val"].dtype)
            rows = _call(node, _aten.mul.Tensor, rows, _call(node, _aten.unsqueeze.default, mask, -1))
            count = _call(node, _aten.sum.dim_IntList, mask, [1], True)
        if shares is not None:
            rows = _call(node, _aten.mul.Tensor, rows, _call(node, _aten.unsqueeze.default, shares, -1))
        if mode == _MAX:
            result = _call(node, _aten.amax.default, rows, [1])
        elif mode == _MEAN and count is None:
            result = _call(node, _aten.mean.dim, rows, [1])
        else:
            result = _call(node, _aten.sum.dim_IntList, rows, [1])
            if mode == _MEAN:
                result = _call(node, _aten.div.Tensor, result, _call(node, _aten.clamp.default, count, 1))
    for user in list(node.users):
        if user in used:  # changed in place: the node may be an output, known by its name
            user.target, user.args = result.target, result.args
        else:
            node.graph.erase_node(user)
    node.graph.erase_node(result)
    node.graph.erase_node(node)


def _call(origin: fx.Node, target: Any, *args: Any) -> fx.Node:
    node = origin.graph.call_function(target, args)
    node.meta = {**origin.meta, "val": evaluate(node)}
    return node


def _matrix(flat: object) -> fx.Node | None:
    """Return the matrix that a vector was reshaped from."""
    if not isinstance(flat, fx.Node) or flat.target not in (_aten.reshape.default, _aten.view.default):
        return None
    source = flat.args[0]
    assert isinstance(source, fx.Node)
    return source if source.meta["val"].dim() == 2 and flat.meta["val"].dim() == 1 else None


def _is_every(offsets: object, length: object) -> bool:
    """Whether offsets are those of bags of one length that follow each other."""
    if not isinstance(offsets, fx.Node) or offsets.target is not _aten.arange.start_step:
        return False
    return isinstance(length, int) and offsets.args[::2] == (0, length)

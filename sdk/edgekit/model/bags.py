"""Bags of embeddings of equal length: rows are read one by one and added, or averaged, as no format does it at once."""

from typing import Any

import torch
from torch import fx

from edgekit.model.graph import add_call, put_values, reads_values_alone

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
    if (
        bags is None
        or (weights is not None and shares is None)
        or not _is_every(offsets, length)
        or last
        or not reads_values_alone(node)
    ):
        return
    masked = padding is not None and padding >= 0
    if mode == _MAX and masked:
        return
    with node.graph.inserting_before(node):
        rows = add_call(node, _aten.embedding.default, table, bags)
        count = None
        if masked:
            there = add_call(node, _aten.ne.Scalar, bags, padding)
            mask = add_call(node, _aten.to.dtype, there, rows.meta["val"].dtype)
            rows = add_call(node, _aten.mul.Tensor, rows, add_call(node, _aten.unsqueeze.default, mask, -1))
            count = add_call(node, _aten.sum.dim_IntList, mask, [1], True)
        if shares is not None:
            rows = add_call(node, _aten.mul.Tensor, rows, add_call(node, _aten.unsqueeze.default, shares, -1))
        if mode == _MAX:
            result = add_call(node, _aten.amax.default, rows, [1])
        elif mode == _MEAN and count is None:
            result = add_call(node, _aten.mean.dim, rows, [1])
        else:
            result = add_call(node, _aten.sum.dim_IntList, rows, [1])
            if mode == _MEAN:
                result = add_call(node, _aten.div.Tensor, result, add_call(node, _aten.clamp.default, count, 1))
    put_values(node, result.target, *result.args)
    node.graph.erase_node(result)


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

"""Attention of other than four dimensions, written as that of four, the only one that the exporter to ONNX has."""

from typing import Any

import torch
from torch import fx

from edgekit.model.graph import add_before

_aten = torch.ops.aten
_RANK = 4


def write_heads(node: fx.Node) -> None:
    """Write scaled dot product attention of stacks of samples, heads and tokens, in place.

    Args:
        node: Attention of (batch, tokens, values), of (tokens, values), or of more dimensions in front.
    """
    given, named = list[Any](node.args), dict[str, Any](node.kwargs)
    operands: list[Any] = given[:3]
    mask: Any = given[3] if len(given) > 3 else named.get("attn_mask")
    ranks = {operand.meta["val"].dim() for operand in operands}
    shape = node.meta["val"].shape
    sizes = [size if isinstance(size, int) else -1 for size in shape[: max(len(shape) - _RANK + 1, 1)]]
    if ranks != {len(shape)} or len(shape) == _RANK or sizes.count(-1) > 1:
        return
    if len(shape) > _RANK and not (_alike(operands) and (mask is None or mask.meta["val"].dim() == 2)):
        return
    if mask is not None:
        operands.append(mask)
    four = [_of_four(node, operand, len(shape)) for operand in operands]
    if mask is not None and "attn_mask" in named:
        named["attn_mask"] = four.pop()
    attention = add_before(node, node.target, *four, *given[len(four) :], **named)
    node.kwargs = {}
    if len(shape) < _RANK:
        node.target, node.args = _aten.squeeze.dims, (attention, [0, 1] if len(shape) == 2 else [1])
    else:
        node.target, node.args = _aten.unflatten.int, (attention, 0, sizes)


def _of_four(node: fx.Node, operand: fx.Node, rank: int) -> fx.Node:
    """Return an operand, or a mask that is broadcast over the first dimensions, of four dimensions."""
    if operand.meta["val"].dim() < rank:
        return operand
    if rank > _RANK:
        return add_before(node, _aten.flatten.using_ints, operand, 0, rank - _RANK)
    for axis in (0, 0) if rank == 2 else (1,):
        operand = add_before(node, _aten.unsqueeze.default, operand, axis)
    return operand


def _alike(operands: list[Any]) -> bool:
    """Whether all have the same sizes in front; as text, since a comparison of symbols would be remembered."""
    return len({str(operand.meta["val"].shape[:-2]) for operand in operands}) == 1

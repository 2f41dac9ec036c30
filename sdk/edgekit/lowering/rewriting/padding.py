"""Write pads as slices behind each other."""

from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.pieces import MOST_REVERSED, backward
from edgekit.lowering.rewriting.writer import MOST_DIMENSIONS, Writer, is_fixed, is_float, rank, shape
from edgekit.model.graph import arguments

_aten = torch.ops.aten


def pad(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a pad by reflection, by the edge or around it; of a constant it is taken unless it cuts off."""
    given = arguments(node)
    data = given["self"]
    mode = given.get("mode") or _MODES.get(node.target, "constant")
    widths = list(given["pad"] if "pad" in given else given["padding"])
    if not is_float(data) or not all(isinstance(width, int) for width in widths):
        return None
    if mode == "constant":
        return _constant(write, data, widths, given["value"] or 0.0)
    if not is_fixed(data) or rank(data) > MOST_DIMENSIONS or min(widths) < 0:
        return None
    if mode == "reflect" and (max(widths) > MOST_REVERSED or rank(data) == MOST_DIMENSIONS):
        return None
    result = data
    for place in range(len(widths) // 2):
        axis = rank(data) - 1 - place
        before, after = widths[2 * place : 2 * place + 2]
        if before or after:
            result = _padded(write, result, axis, before, after, mode)
    return result if result is not data else None


def _constant(write: Writer, data: fx.Node, widths: list[int], value: float) -> fx.Node | None:
    if min(widths) < 0:
        if not is_fixed(data):
            return None
        for place in range(len(widths) // 2):
            axis = rank(data) - 1 - place
            before, after = (max(-width, 0) for width in widths[2 * place : 2 * place + 2])
            data = write.slice(data, axis, before, shape(data)[axis] - after)
        widths = [max(width, 0) for width in widths]
        if not any(widths):
            return data
    return write(_aten.constant_pad_nd.default, data, widths, value)


_MODES: dict[Any, str] = {
    _aten.reflection_pad1d.default: "reflect",
    _aten.reflection_pad2d.default: "reflect",
    _aten.replication_pad1d.default: "replicate",
    _aten.replication_pad2d.default: "replicate",
}


def _padded(write: Writer, data: fx.Node, axis: int, before: int, after: int, mode: str) -> fx.Node:
    size = shape(data)[axis]

    def part(start: int, end: int) -> list[fx.Node]:
        return [write.slice(data, axis, start, end)] if start < end else []

    match mode:
        case "circular":
            parts = [*part(size - before, size), data, *part(0, after)]
        case "replicate":
            first, last = part(0, 1), part(size - 1, size)
            parts = [*first * before, data, *last * after]
        case _:
            ends = part(1, before + 1), part(size - 1 - after, size - 1)
            front, back = ([backward(write, one, axis) for one in end] for end in ends)
            parts = [*front, data, *back]
    return write.cat(parts, axis)

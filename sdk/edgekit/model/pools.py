"""Pools that a format has no form of, or computes otherwise, written as ones that both have.

A pool of volumes is one of pictures, slice by slice, and one of what these gave: means, too, since how many places a
window has is the product of how many it has along each dimension.
"""

import math
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import add_before, arguments, put_values, reads_values_alone

_aten = torch.ops.aten
_Parts = list[tuple[int, int]]


def write_means_of_parts(node: fx.Node) -> None:
    """Write an adaptive mean of volumes, in place: as a pool with a kernel where its parts are equal."""
    data, wanted = list[Any](node.args)[:2]
    sizes = _fixed(data, 3)
    if sizes is None:
        return
    wanted = [size if part is None else part for size, part in zip(sizes, wanted, strict=True)]
    if all(size % part == 0 for size, part in zip(sizes, wanted, strict=True)):
        kernel = [size // part for size, part in zip(sizes, wanted, strict=True)]
        node.target, node.args = _aten.avg_pool3d.default, (data, kernel, kernel)
        return
    slices = add_before(node, _aten.adaptive_avg_pool2d.default, _as_slices(node, data), wanted[1:])
    rows = _as_rows(node, data, slices)
    whole = [wanted[0], _sizes(rows.meta["val"])[-1]]
    _put_volumes(node, add_before(node, _aten.adaptive_avg_pool2d.default, rows, whole))


def write_mean(node: fx.Node) -> None:
    """Write a mean of volumes that rounds its size up, or does not count its padding, as two of pictures, in place."""
    given = arguments(node)
    data, padding = given["self"], _three(given["padding"])
    uneven = given["ceil_mode"] or (any(padding) and not given["count_include_pad"])
    if given["divisor_override"] is not None:
        write_divided(node)
        return
    if not uneven:
        return
    kernel = _three(given["kernel_size"])
    window = (kernel, _three(given["stride"]) or kernel, padding)
    _write_twice(node, data, _aten.avg_pool2d.default, window, (given["ceil_mode"], given["count_include_pad"]))


def write_divided(node: fx.Node) -> None:
    """Write a mean with a divisor of its own as one without, and a product, in place: the exporter to ONNX drops it."""
    given = arguments(node)
    divisor = given["divisor_override"]
    if divisor is None or given["ceil_mode"]:
        return
    count = 2 if node.target is _aten.avg_pool2d.default else 3
    kernel = given["kernel_size"]
    places = math.prod(kernel) if len(kernel) == count else kernel[0] ** count
    assert callable(node.target)
    mean = add_before(node, node.target, given["self"], kernel, given["stride"] or kernel, given["padding"])
    node.target, node.args, node.kwargs = _aten.mul.Tensor, (mean, places / divisor), {}


def write_largest(node: fx.Node) -> None:
    """Write largest values of volumes whose size is rounded up as two pools of pictures, in place."""
    given = arguments(node)
    if not given["ceil_mode"]:
        return
    kernel = _three(given["kernel_size"])
    window = (kernel, _three(given["stride"]) or kernel, _three(given["padding"]), _three(given["dilation"]))
    _write_twice(node, given["self"], _aten.max_pool2d.default, window, (True,))


def _write_twice(
    node: fx.Node, data: fx.Node, target: Any, window: tuple[list[int], ...], rest: tuple[bool, ...]
) -> None:
    if _fixed(data, 3) is None:
        return
    slices = add_before(node, target, _as_slices(node, data), *(one[1:] for one in window), *rest)
    neutral = (1, 1, 0, 1)  # a kernel, a stride, a padding and a dilation that do nothing
    along = [[one[0], other] for one, other in zip(window, neutral, strict=False)]
    _put_volumes(node, add_before(node, target, _as_rows(node, data, slices), *along, *rest))


def write_largest_of_parts(node: fx.Node) -> None:
    """Write an adaptive maximum of unequal parts as one maximum for each, in place, and one of volumes as a pool.

    One whose places are read is left as it is.
    """
    data, wanted = list[Any](node.args)[:2]
    count = len(node.meta["val"][0].shape) - (data.meta["val"].dim() - len(wanted))
    sizes = _fixed(data, count)
    if sizes is None or not reads_values_alone(node):
        return
    parts = [
        [(place * size // many, -(-(place + 1) * size // many)) for place in range(many)]
        for size, many in zip(sizes, wanted, strict=True)
    ]
    if all(size % many == 0 for size, many in zip(sizes, wanted, strict=True)):
        if count < 3:
            return
        kernel = [size // many for size, many in zip(sizes, wanted, strict=True)]
        found = add_before(node, _aten.max_pool3d.default, data, kernel, kernel)
    elif count == 3:
        slices = _along(node, _along(node, _as_slices(node, data), -2, parts[1]), -1, parts[2])
        deep = _along(node, _as_rows(node, data, slices), -2, parts[0])
        found = add_before(node, _aten.reshape.default, deep, _sizes(node.meta["val"][0]))
    else:
        found = data
        for axis, own in zip(range(-count, 0), parts, strict=True):
            found = _along(node, found, axis, own, count)
    put_values(node, _aten.clone.default, found)


def _along(node: fx.Node, data: fx.Node, axis: int, parts: _Parts, count: int = 2) -> fx.Node:
    """Return the largest values of parts of one dimension, the last or the one before it.

    Args:
        node: The pool that is written anew.
        data: Signals or pictures.
        axis: Which dimension, from the end.
        parts: Where each part starts and ends.
        count: One for signals, two for pictures.
    """
    if parts == [(place, place + 1) for place in range(data.meta["val"].shape[axis])]:
        return data
    target = _aten.max_pool1d.default if count == 1 else _aten.max_pool2d.default
    found = []
    for start, end in parts:
        part = add_before(node, _aten.slice.Tensor, data, axis, start, end)
        kernel = [end - start if one == axis else 1 for one in range(-count, 0)]
        found.append(part if max(kernel) == 1 else add_before(node, target, part, kernel, kernel))
    return add_before(node, _aten.cat.default, found, axis)


def _as_slices(node: fx.Node, data: fx.Node) -> fx.Node:
    """Return volumes as pictures, with the slices of a volume for channels."""
    *lead, channels, depth, height, width = _sizes(data.meta["val"])
    return add_before(node, _aten.reshape.default, data, [*lead, channels * depth, height, width])


def _as_rows(node: fx.Node, data: fx.Node, slices: fx.Node) -> fx.Node:
    """Return pools of slices as pictures, of which each row is a slice."""
    *lead, channels, depth, _, _ = _sizes(data.meta["val"])
    height, width = _sizes(slices.meta["val"])[-2:]
    return add_before(node, _aten.reshape.default, slices, [*lead, channels, depth, height * width])


def _put_volumes(node: fx.Node, rows: fx.Node) -> None:
    """Make a node of what has a row for each slice: it may be an output, known by its name."""
    node.target, node.args, node.kwargs = _aten.reshape.default, (rows, _sizes(node.meta["val"])), {}


def _sizes(value: Any) -> list[int]:
    """Return the sizes of a value, of which one may be inferred."""
    return [size if isinstance(size, int) else -1 for size in value.shape]


def _fixed(data: fx.Node, count: int) -> list[int] | None:
    """Return the last sizes; None where they vary, or where those in front of them cannot be inferred."""
    value = data.meta["val"]
    sizes = list(value.shape)
    free = [size for size in sizes if not isinstance(size, int)]
    return None if len(free) > 1 or (free and sizes[0] is not free[0]) else sizes[-count:]


def _three(value: Any) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * 3 if len(values) == 1 else values

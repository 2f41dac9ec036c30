"""Write pools as those that XNNPACK takes: of pictures, without rounding up, and averages without padding."""

import math
import operator
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from edgekit.lowering.rewriting.reductions import rows_of
from edgekit.lowering.rewriting.writer import Writer, is_float, rank, shape
from edgekit.model.graph import arguments

_aten = torch.ops.aten
_EXTREMES = {_aten.max.dim: _aten.amax.default, _aten.min.dim: _aten.amin.default}
_ADAPTIVE_MAXIMA = {_aten.adaptive_max_pool1d.default, _aten.adaptive_max_pool2d.default}


def plain_maximum(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a pool that rounds its size up where there is nothing to round as one that does not.

    Torch drops a window that starts in the padding at the far edge; ONNX has it, which is another size.
    """
    given = arguments(node)
    data, count = given["self"], 1 if node.target is _aten.max_pool1d.default else 2
    names = ("kernel_size", "stride", "padding", "dilation")
    kernel, stride, padding, dilation = (_each(given[key], count) for key in names)
    stride = stride or kernel
    if not given["ceil_mode"] or rank(data) != count + 2 or not is_float(data):
        return None
    sizes, wanted = shape(data)[2:], shape(node)[2:]
    if not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    spans = [dilation[i] * (kernel[i] - 1) + 1 for i in range(count)]
    lacking = [(wanted[i] - 1) * stride[i] + spans[i] - (sizes[i] + 2 * padding[i]) for i in range(count)]
    rounded = [one > 0 for one in lacking]
    if all(rounded):
        return None  # of fixed sizes it is taken as it is
    assert isinstance(node.target, OpOverload)
    window, neutral = list(zip(kernel, stride, padding, dilation, strict=True)), (1, 1, 0, 1)
    if any(rounded):  # along one dimension alone
        own = [one if up else neutral for one, up in zip(window, rounded, strict=True)]
        data = write(node.target, data, *map(list, zip(*own, strict=True)), True)
        window = [neutral if up else one for one, up in zip(window, rounded, strict=True)]
    return write(node.target, data, *map(list, zip(*window, strict=True)))


def pool1d(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a pool of a signal as that of a picture one pixel wide."""
    given = arguments(node)
    data = given["self"]
    if rank(data) != 3 or not is_float(data) or not isinstance(shape(node)[-1], int):
        return None
    wide = write.reshape(data, [*shape(data), 1])
    kernel, padding = list(given["kernel_size"]), list(given["padding"])
    stride = list(given["stride"] or ()) or kernel
    if node.target is _aten.max_pool1d.default:
        window: tuple[Any, ...] = ([*kernel, 1], [*stride, 1], [*padding, 0], [*given["dilation"], 1])
        pooled = write(_aten.max_pool2d.default, wide, *window, given["ceil_mode"])
    else:
        window = ([*kernel, 1], [*stride, 1], [*padding, 0], given["ceil_mode"], given["count_include_pad"])
        average = _average(write, wide, [*shape(node)[-1:], 1], *window)
        if average is None:
            return None
        pooled = average
    return write.reshape(pooled, shape(node))


def avg_pool2d(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write an average that counts its padding as one behind a pad."""
    given = arguments(node)
    data = given["self"]
    if rank(data) != 4 or not is_float(data) or given["divisor_override"] is not None:
        return None
    kernel, stride, padding = (_pair(given[key]) for key in ("kernel_size", "stride", "padding"))
    rest = (given["ceil_mode"], given["count_include_pad"])
    if not any(padding) and not rest[0]:
        return None
    return _average(write, data, shape(node)[2:], kernel, stride or kernel, padding, *rest)


def _average(
    write: Writer,
    data: fx.Node,
    wanted: list[Any],
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    counts_padding: bool,
) -> fx.Node | None:
    """Return an average; what is rounded up reads zeros at the far edges, and is scaled to what it really has."""
    sizes = shape(data)[2:]
    if not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    beyond = [
        max((wanted[i] - 1) * stride[i] + kernel[i] - sizes[i] - 2 * padding[i], 0) if ceil_mode else 0
        for i in range(2)
    ]
    if not any(beyond) and not (counts_padding and any(padding)):
        return write(_aten.avg_pool2d.default, data, kernel, stride, padding, False, False)
    (top, left), (below, right) = padding, beyond
    whole = write(_aten.constant_pad_nd.default, data, [left, left + right, top, top + below], 0.0)
    pooled = write(_aten.avg_pool2d.default, whole, kernel, stride)
    if counts_padding and not any(beyond):
        return pooled
    seen = torch.ones(1, 1, *sizes)
    around = [left, left, top, top]
    seen = torch.nn.functional.pad(seen, around, value=1.0 if counts_padding else 0.0)
    shares = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(seen, [0, right, 0, below]), kernel, stride)
    name = f"shares_{sizes}_{kernel}_{stride}_{padding}_{beyond}_{counts_padding}"
    return write.mul(pooled, write.constant(name, 1 / shares))


def adaptive_average(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write an average over as many regions as are wanted: a mean, a pool, or a product with the shares."""
    given = arguments(node)
    data = given["self"]
    if rank(data) - len(given["output_size"]) != 2 or not is_float(data):
        return None
    sizes, wanted = shape(data)[2:], shape(node)[2:]
    if not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    if sizes == wanted:
        return write.reshape(data, shape(data))
    if all(size == 1 for size in wanted):
        # A mean: see `pool_means`.
        return write(_aten.mean.dim, data, [2], True) if len(wanted) == 1 else None
    if all(size % n == 0 for size, n in zip(sizes, wanted, strict=True)):
        kernel = [size // n for size, n in zip(sizes, wanted, strict=True)]
        if len(kernel) == 2:
            return write(_aten.avg_pool2d.default, data, kernel, kernel)
        wide = write.reshape(data, [*shape(data), 1])
        return write.reshape(write(_aten.avg_pool2d.default, wide, [*kernel, 1], [*kernel, 1]), shape(node))
    result = _shared(write, data, wanted[-1])
    if len(wanted) == 2:
        result = write.to_last(_shared(write, write.to_last(result, 2), wanted[0]), 2)
    return result


def _shared(write: Writer, data: fx.Node, wanted: int) -> fx.Node:
    size = shape(data)[-1]
    if size == wanted:
        return data
    shares = torch.zeros(wanted, size)
    for place in range(wanted):
        start, end = place * size // wanted, -(-(place + 1) * size // wanted)
        shares[place, start:end] = 1 / (end - start)
    return write(_aten.linear.default, data, write.constant(f"shares_{size}_{wanted}", shares))


def adaptive_maxima(write: Writer) -> None:
    """Write maxima over regions of one size, whose places nobody reads, as pools."""
    for node in list(write.program.graph.nodes):
        if node.op != "call_function" or node.target not in _ADAPTIVE_MAXIMA:
            continue
        given = arguments(node)
        data, users = given["self"], list(node.users)
        sizes, wanted = shape(data)[2:], list(node.meta["val"][0].shape)[2:]
        if rank(data) - len(wanted) != 2 or not is_float(data) or any(user.args[1] != 0 for user in users):
            continue
        if not all(isinstance(size, int) for size in sizes) or any(
            size % n for size, n in zip(sizes, wanted, strict=True)
        ):
            continue
        kernel = [size // n for size, n in zip(sizes, wanted, strict=True)]
        for user in users:
            write.at(user)
            with write.program.graph.inserting_before(user):
                wide = data if len(kernel) == 2 else write.reshape(data, [*shape(data), 1])
                window = [*kernel, 1][:2]
                pooled = write(_aten.max_pool2d.default, wide, window, window)
                result = pooled if len(kernel) == 2 else write.reshape(pooled, shape(user))
            write.put(user, result)
    write.finish()


def extremes(write: Writer) -> None:
    """Write largest and least values whose places nobody reads as such."""
    for node in list(write.program.graph.nodes):
        if node.op != "call_function" or node.target not in _EXTREMES:
            continue
        if any(user.target is not operator.getitem or user.args[1] != 0 for user in node.users):
            continue
        data, dim, *keep = node.args
        for user in list(node.users):
            user.target, user.args = _EXTREMES[node.target], (data, [dim], *keep)
    write.finish()


def largest(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write largest or least values as pools: of whole pictures, or of rows one pixel wide."""
    given = arguments(node)
    data = given["self"]
    if not is_float(data):
        return None
    axes = sorted(axis % rank(data) for axis in given["dim"] or range(rank(data)))
    sign = -1.0 if node.target is _aten.amin.default else 1.0
    if sign < 0:
        data = write.mul(data, sign)
    if axes == [2, 3] and rank(data) == 4 and all(isinstance(size, int) for size in shape(data)[1:]):
        window = shape(data)[2:]
        pooled = write(_aten.max_pool2d.default, data, window, window)
    else:
        rows = rows_of(write, data, axes)
        if rows is None:
            return None
        first, *others, length = shape(rows)
        if not all(isinstance(size, int) for size in others):
            return None
        window = [length, 1]
        wide = write.reshape(rows, [first, math.prod(others), *window])
        pooled = write(_aten.max_pool2d.default, wide, window, window)
    return write.reshape(pooled if sign > 0 else write.mul(pooled, sign), shape(node))


def _pair(value: Any) -> list[int]:
    return _each(value, 2)


def _each(value: Any, count: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value or ())
    return values * count if len(values) == 1 else values

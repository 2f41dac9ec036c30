"""Write convolutions that XNNPACK lacks as those that it has, in float: of volumes, and some of signals."""

from typing import Any

import torch
from torch import Tensor, fx

from edgekit.lowering.rewriting.writer import MOST_DIMENSIONS, Writer, is_float, rank, shape, tensor_of
from edgekit.model.graph import arguments, is_dequantize

_aten = torch.ops.aten


def conv3d(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a convolution of volumes as the sum of those of pictures, one for each slice of the kernel."""
    given = arguments(node)
    data, weight, bias = given["input"], _value(write, given["weight"]), given["bias"]
    if weight is None or rank(data) != 5 or not is_float(data) or isinstance(given["padding"], str):
        return None
    sizes, wanted = shape(data), shape(node)
    if not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    stride, padding, dilation = (_three(given[key]) for key in ("stride", "padding", "dilation"))
    batch, channels, depth, height, width = sizes
    frames = write.permute(data, [0, 2, 1, 3, 4])
    if padding[0]:
        frames = write(_aten.constant_pad_nd.default, frames, [*[0] * 6, padding[0], padding[0]], 0.0)
        depth += 2 * padding[0]
    result: fx.Node | None = None
    for place in range(weight.shape[2]):
        start = place * dilation[0]
        rows = _every(write, frames, start, wanted[2], stride[0])
        pictures = write.reshape(rows, [batch * wanted[2], channels, height, width])
        kernel = write.unnamed(weight[:, :, place])
        own = bias if place == 0 else None
        window = (stride[1:], padding[1:], dilation[1:], given["groups"])
        part = write(_aten.conv2d.default, pictures, kernel, own, *window)
        result = part if result is None else write.add(result, part)
    assert result is not None
    apart = write.reshape(result, [batch, wanted[2], wanted[1], *wanted[3:]])
    return write.permute(apart, [0, 2, 1, 3, 4])


def transposed_volumes(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a transposed convolution of volumes as the sum of those of pictures, one for each slice of the kernel.

    What a slice gives lies as far apart in depth as the stride says, and as far in as the slice lies in the kernel.
    """
    given = arguments(node)
    data, weight, bias = given["input"], _value(write, given["weight"]), given["bias"]
    if weight is None or rank(data) != 5 or not is_float(data):
        return None
    sizes, wanted = shape(data), shape(node)
    if not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    names = ("stride", "padding", "output_padding", "dilation")
    stride, padding, more, dilation = (_three(given[key]) for key in names)
    batch, channels, depth, height, width = sizes
    frames = write.permute(data, [0, 2, 1, 3, 4])
    pictures = write.reshape(frames, [batch * depth, channels, height, width])
    window = (stride[1:], padding[1:], more[1:], given["groups"], dilation[1:])
    result: fx.Node | None = None
    for place in range(weight.shape[2]):
        kernel = write.unnamed(weight[:, :, place])
        part = write(_aten.conv_transpose2d.input, pictures, kernel, None, *window)
        values = wanted[1] * wanted[3] * wanted[4]
        rows = write.reshape(part, [batch, depth, 1, values])
        if stride[0] > 1:
            rows = write(_aten.constant_pad_nd.default, rows, [0, 0, 0, stride[0] - 1], 0.0)
        rows = write.reshape(rows, [batch, depth * stride[0], values])
        before = place * dilation[0] - padding[0]
        rows = _placed(write, rows, before, wanted[2])
        result = rows if result is None else write.add(result, rows)
    assert result is not None
    apart = write.permute(write.reshape(result, [batch, wanted[2], wanted[1], *wanted[3:]]), [0, 2, 1, 3, 4])
    return apart if bias is None else write.add(apart, write.reshape(bias, [1, wanted[1], 1, 1, 1]))


def _placed(write: Writer, rows: fx.Node, before: int, length: int) -> fx.Node:
    """Return rows of a length, of which so many are in front of the given ones; fewer than none: these are cut off."""
    rows = write.slice(rows, 1, max(-before, 0), min(shape(rows)[1], length - before))
    before = max(before, 0)
    behind = length - before - shape(rows)[1]
    return write(_aten.constant_pad_nd.default, rows, [0, 0, before, behind], 0.0) if before or behind else rows


def _every(write: Writer, frames: fx.Node, start: int, count: int, step: int) -> fx.Node:
    """Return so many frames (batch, depth, ...), with a step from one to the next."""
    if step == 1:
        return write.slice(frames, 1, start, start + count)
    return write.cat([write.slice(frames, 1, start + i * step, start + i * step + 1) for i in range(count)], 1)


def pool3d(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a pool of volumes as one of their depth and one of pictures."""
    given = arguments(node)
    data = given["self"]
    if rank(data) != 5 or not is_float(data) or given["ceil_mode"] or rank(data) >= MOST_DIMENSIONS:
        return None
    sizes, wanted = shape(data), shape(node)
    if not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    kernel, padding = _three(given["kernel_size"]), _three(given["padding"])
    stride = _three(given["stride"]) if given["stride"] else kernel
    batch, channels, depth, height, width = sizes
    if node.target is _aten.max_pool3d.default:
        target, dilation = _aten.max_pool2d.default, _three(given["dilation"])
        more: tuple[list[Any], ...] = ([dilation[0], 1], dilation[1:])
    elif given["divisor_override"] is None and (given["count_include_pad"] or not any(padding)):
        target, more = _aten.avg_pool2d.default, ()
        if any(padding):
            around = [side for size in reversed(padding) for side in (size, size)]
            data = write(_aten.constant_pad_nd.default, data, around, 0.0)
            depth, height, width = shape(data)[2:]
            padding = [0, 0, 0]
    else:
        return None
    flat = write.reshape(data, [batch, channels, depth, height * width])
    deep = write(target, flat, [kernel[0], 1], [stride[0], 1], [padding[0], 0], *more[:1])
    pictures = write.reshape(deep, [batch, channels * wanted[2], height, width])
    pooled = write(target, pictures, kernel[1:], stride[1:], padding[1:], *more[1:])
    return write.reshape(pooled, wanted)


def signals(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a float convolution of signals as that of pictures one pixel wide.

    ExecuTorch does that itself, but takes a convolution for quantized if its output or its input is, whatever its
    weight: a float one is then refused, or fails when it is loaded (error 0x1; 1.5.1, ``conv1d_unsqueeze_pass``).
    """
    given = arguments(node)
    data, weight = given["input"], tensor_of(write.program, given["weight"])
    if weight is None or rank(data) != 3 or not is_float(data):
        return None
    padding = given["padding"]
    target, around = _aten.conv2d.default, padding
    if isinstance(padding, str):
        target = _aten.conv2d.padding
    else:
        around = [_one(padding), 0]
    wide = write(_aten.unsqueeze.default, data, -1)
    window = ([_one(given["stride"]), 1], around, [_one(given["dilation"]), 1], given["groups"])
    made = write(target, wide, write.unnamed(weight.unsqueeze(-1)), given["bias"], *window)
    return write(_aten.squeeze.dim, made, -1)


def transposed_signals(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a transposed convolution of signals by groups, or behind a value of int8, as that of pictures."""
    given = arguments(node)
    data, weight = given["input"], _value(write, given["weight"])
    if weight is None or rank(data) != 3 or not is_float(data):
        return None
    if given["groups"] == 1 and (not is_dequantize(data) or is_dequantize(given["weight"])):
        return None
    window = [[_one(given[key]), rest] for key, rest in (("stride", 1), ("padding", 0), ("output_padding", 0))]
    wide = write(_aten.unsqueeze.default, data, -1)
    kernel = write.unnamed(weight.unsqueeze(-1))
    dilation = [_one(given["dilation"]), 1]
    made = write(_aten.conv_transpose2d.input, wide, kernel, given["bias"], *window, given["groups"], dilation)
    return write(_aten.squeeze.dim, made, -1)


def _value(write: Writer, weight: Any) -> Tensor | None:
    """Return a weight's values, in float where they are stored as integers."""
    if isinstance(weight, fx.Node) and is_dequantize(weight):
        stored = {one: tensor_of(write.program, one) for one in weight.all_input_nodes}
        if any(value is None for value in stored.values()):
            return None
        assert callable(weight.target)
        args, kwargs = fx.map_arg((weight.args, weight.kwargs), lambda one: stored[one])
        value: Tensor = weight.target(*args, **kwargs)
        return value
    return tensor_of(write.program, weight)


def _three(value: Any) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * 3 if len(values) == 1 else values


def _one(value: Any) -> int:
    found: int = value if isinstance(value, int) else value[0]
    return found

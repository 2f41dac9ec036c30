"""Operators that move elements: shapes, indices, paddings, windows and sizes of pictures."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgekit.model.programs.onnx.elementwise import dtype_of
from edgekit.model.programs.onnx.node import Node, OnnxError, Value, host, is_host, numbers, scalar, tensor

_MOST_ELEMENTS = 2**27


def _reshape(node: Node, x: Value, shape: Value = None) -> Any:
    given = tensor(x)
    sizes = numbers(shape, "its shape") if shape is not None else list(node.attribute("shape"))
    if not node.attribute("allowzero", 0):
        sizes = [given.shape[axis] if isinstance(size, int) and size == 0 else size for axis, size in enumerate(sizes)]
    return given.reshape(sizes)


def _flatten(node: Node, x: Value) -> Any:
    given = tensor(x)
    axis = node.attribute("axis", 1) % (given.ndim + 1) if node.attribute("axis", 1) < 0 else node.attribute("axis", 1)
    return given.flatten(1) if axis == 1 else given.reshape(given.shape[:axis].numel() if axis else 1, -1)


def _axes(node: Node, axes: Value) -> list[int]:
    found = node.attribute("axes") if axes is None else numbers(axes, "its axes")
    return [int(axis) for axis in found or ()]


def _squeeze(node: Node, x: Value, axes: Value = None) -> Any:
    where = _axes(node, axes)
    return tensor(x).squeeze(where) if where else tensor(x).squeeze()


def _unsqueeze(node: Node, x: Value, axes: Value = None) -> Any:
    given = tensor(x)
    where = _axes(node, axes)
    rank = given.ndim + len(where)
    for axis in sorted(axis % rank for axis in where):
        given = given.unsqueeze(axis)
    return given


def _concat(node: Node, *given: Value) -> Any:
    return torch.cat([tensor(value) for value in given], node.attribute("axis"))


def _split(node: Node, x: Value, sizes: Value = None) -> Any:
    given, axis = tensor(x), node.attribute("axis", 0)
    parts = node.attribute("split") or (None if sizes is None else numbers(sizes, "its sizes"))
    if parts is None:
        many = node.attribute("num_outputs", len(node.writes))
        return torch.split(given, -(-given.shape[axis] // many), axis)
    return torch.split(given, [int(part) for part in parts], axis)


def _slice(
    node: Node, x: Value, starts: Value = None, ends: Value = None, axes: Value = None, steps: Value = None
) -> Any:
    given = tensor(x)
    begins = list(node.attribute("starts") or ()) if starts is None else numbers(starts, "its start")
    stops = list(node.attribute("ends") or ()) if ends is None else numbers(ends, "its end")
    where = node.attribute("axes") if axes is None else numbers(axes, "its axes")
    strides = numbers(steps, "its step") if steps is not None else [1] * len(begins)
    for axis, begin, stop, step in zip(where or range(len(begins)), begins, stops, strides, strict=True):
        if step < 0:
            given, begin, stop, step = _flipped(given, axis, begin, stop, step)
        end = None if isinstance(stop, int) and stop >= 2**31 - 1 else stop
        parts = [slice(None)] * given.ndim
        parts[axis] = slice(begin, end, step)
        given = given[tuple(parts)]
    return given


def _flipped(given: Tensor, axis: int, begin: Any, stop: Any, step: int) -> tuple[Tensor, Any, Any, int]:
    """Return the slice of the mirrored tensor that is a slice with a negative step."""
    size = given.shape[axis]
    begin = size - 1 if begin >= size else (begin + size if begin < 0 else begin)
    stop = -1 if stop < -size else (stop + size if stop < 0 else stop)
    return given.flip(axis), size - 1 - begin, size - 1 - stop, -step


def _gather(node: Node, x: Value, indices: Value) -> Any:
    given, axis = tensor(x), node.attribute("axis", 0)
    if is_host(indices) and indices.ndim == 0:  # type: ignore[union-attr]
        return given.select(axis, numbers(indices, "its index")[0])
    where = tensor(indices).long()
    where = (
        torch.where(where < 0, where + given.shape[axis], where) if not is_host(indices) or (where < 0).any() else where
    )
    if axis == 0 and given.ndim == 2 and given.is_floating_point():
        return functional.embedding(where, given)
    axis %= given.ndim
    found = given.index_select(axis, where.reshape(-1))
    return found.reshape(*given.shape[:axis], *where.shape, *given.shape[axis + 1 :])


def _gather_nd(node: Node, x: Value, indices: Value) -> Any:
    if node.attribute("batch_dims", 0):
        raise OnnxError("batch_dims is not supported")
    return tensor(x)[tuple(tensor(indices).long().unbind(-1))]


def _scatter_nd(node: Node, x: Value, indices: Value, updates: Value) -> Any:
    if node.attribute("reduction", b"none") not in (b"none", "none"):
        raise OnnxError("its reduction is not supported")
    return tensor(x).index_put(tuple(tensor(indices).long().unbind(-1)), tensor(updates))


def _scatter(node: Node, x: Value, indices: Value, updates: Value) -> Any:
    return tensor(x).scatter(node.attribute("axis", 0), tensor(indices).long(), tensor(updates))


def _expand(node: Node, x: Value, shape: Value) -> Any:
    given, sizes = tensor(x), numbers(shape, "its shape")
    if len(sizes) < given.ndim:
        sizes = [1] * (given.ndim - len(sizes)) + sizes
    own = [1] * (len(sizes) - given.ndim) + list(given.shape)
    return given.expand(
        [mine if isinstance(size, int) and size == 1 else size for mine, size in zip(own, sizes, strict=True)]
    )


def _tile(node: Node, x: Value, repeats: Value) -> Any:
    many = [int(one) for one in numbers(repeats, "its repeats")]
    if math.prod(many) > _MOST_ELEMENTS:
        raise OnnxError(f"it repeats {math.prod(many):,} times")
    return tensor(x).repeat(many)


def _pad(node: Node, x: Value, pads: Value = None, value: Value = None, axes: Value = None) -> Any:
    given = tensor(x)
    sides = list(node.attribute("pads") or ()) if pads is None else numbers(pads, "its padding")
    mode = node.attribute("mode", b"constant").decode()
    where = list(range(given.ndim)) if axes is None else [int(axis) % given.ndim for axis in numbers(axes, "its axes")]
    both = dict.fromkeys(range(given.ndim), (0, 0))
    both |= {axis: (sides[number], sides[number + len(where)]) for number, axis in enumerate(where)}
    flat = [side for axis in reversed(range(given.ndim)) for side in both[axis]]
    if mode == "constant":
        fill = node.attribute("value", 0.0) if value is None else scalar(value)
        return functional.pad(given, flat, value=float(fill))
    while flat[-2:] == [0, 0] and len(flat) > 2 * (given.ndim - 2):
        flat = flat[:-2]
    return functional.pad(given, flat, mode={"edge": "replicate", "reflect": "reflect", "wrap": "circular"}[mode])


def _filled(node: Node, shape: Value) -> Any:
    sizes, value = numbers(shape, "its shape"), node.attribute("value")
    if all(isinstance(size, int) for size in sizes) and torch.Size(sizes).numel() > _MOST_ELEMENTS:
        raise OnnxError(f"it has {torch.Size(sizes).numel():,} elements")
    fill = 0.0 if value is None else value.reshape(-1)[0]
    return torch.full(sizes, fill.item() if isinstance(fill, Tensor) else fill)


def _range(node: Node, *given: Value) -> Any:
    start, end, step = (numbers(value, "its range")[0] for value in given)
    return torch.arange(start, end, step)


def _trilu(node: Node, x: Value, k: Value = None) -> Any:
    diagonal = 0 if k is None else int(numbers(k, "its diagonal")[0])
    return tensor(x).triu(diagonal) if node.attribute("upper", 1) else tensor(x).tril(diagonal)


def _one_hot(node: Node, indices: Value, depth: Value, values: Value) -> Any:
    many, axis = int(numbers(depth, "its depth")[0]), node.attribute("axis", -1)
    off, on = tensor(values).unbind(0)
    where = tensor(indices).long()
    found = torch.where((where % many).unsqueeze(-1) == torch.arange(many), on, off)
    return found.movedim(-1, axis)


def _top_k(node: Node, x: Value, k: Value = None) -> Any:
    many = node.attribute("k") if k is None else int(numbers(k, "its number")[0])
    largest, ordered = bool(node.attribute("largest", 1)), bool(node.attribute("sorted", 1))
    return tuple(tensor(x).topk(many, node.attribute("axis", -1), largest, ordered))


def _shape(node: Node, x: Value) -> Any:
    sizes = list(tensor(x).shape)
    return host(sizes[node.attribute("start", 0) : node.attribute("end")])


MOVING: dict[str, Callable[..., Any]] = {
    "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Concat": _concat,
    "Split": _split, "Slice": _slice, "Gather": _gather, "GatherND": _gather_nd, "ScatterND": _scatter_nd,
    "ScatterElements": _scatter, "Scatter": _scatter, "Expand": _expand, "Pad": _pad,
    "GatherElements": lambda node, x, where: tensor(x).gather(node.attribute("axis", 0), tensor(where).long()),
    "ConstantOfShape": _filled,
    "Range": _range, "Trilu": _trilu, "OneHot": _one_hot, "TopK": _top_k,
    "Shape": _shape,
    "Size": lambda node, x: host(tensor(x).numel()),
    "Transpose": lambda node, x: tensor(x).permute(
    node.attribute("perm") or tuple(reversed(range(tensor(x).ndim)))
    ),
    "Tile": _tile,
    "EyeLike": lambda node, x: torch.eye(*tensor(x).shape, dtype=dtype_of(node.attribute("dtype", 1))),
}  # fmt: skip

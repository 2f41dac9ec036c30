"""Write what takes tensors apart as slices and views, which XNNPACK takes of fixed sizes."""

import math
import operator
from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import MOST_DIMENSIONS, Writer, is_fixed, is_float, rank, shape, tensor_of
from edgekit.model.graph import arguments

_aten = torch.ops.aten
# Each run of a gather becomes a slice: more of them cost more than one kernel outside.
_MOST_RUNS = 16
MOST_REVERSED = 1024
"""The longest dimension that is reversed by folding it: 64 slices."""
_APART = {
    _aten.unbind.int, _aten.split.Tensor, _aten.split_with_sizes.default, _aten.chunk.default,
    _aten.tensor_split.sections,
}  # fmt: skip


def select(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the choice of one row as a slice and a view without its dimension."""
    given = arguments(node)
    data, index = given["self"], given["index"]
    if not (is_float(data) and is_fixed(data) and isinstance(index, int)) or rank(data) > MOST_DIMENSIONS:
        return None
    return _row(write, data, given["dim"] % rank(data), index)


def _row(write: Writer, data: fx.Node, axis: int, index: int) -> fx.Node:
    sizes = shape(data)
    start = index % sizes[axis]
    part = write.slice(data, axis, start, start + 1)
    return write.reshape(part, [*sizes[:axis], *sizes[axis + 1 :]])


def take_apart(write: Writer) -> None:
    """Write each part that is taken of a split, chunked or unbound tensor as a slice."""
    for node in list(write.program.graph.nodes):
        if node.op != "call_function" or node.target not in _APART:
            continue
        given = arguments(node)
        data = given["self"]
        if not (is_float(data) and is_fixed(data)) or rank(data) > MOST_DIMENSIONS:
            continue
        if any(user.target is not operator.getitem for user in node.users):
            continue
        axis, start, starts = given["dim"] % rank(data), 0, []
        for part in node.meta["val"]:
            starts.append(start)
            start += 1 if node.target is _aten.unbind.int else int(part.shape[axis])
        for user in list(node.users):
            place: Any = user.args[1]
            size = 1 if node.target is _aten.unbind.int else user.meta["val"].shape[axis]
            write.at(user)
            with write.program.graph.inserting_before(user):
                part = write.slice(data, axis, starts[place], starts[place] + size)
                result = write.reshape(part, shape(user)) if node.target is _aten.unbind.int else part
                if result is data:
                    result = write.reshape(data, shape(data))
            write.put(user, result)
    write.finish()


def strided_slice(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a slice in steps as a view whose rows are the steps, of which one column is taken."""
    given = arguments(node)
    data, step = given["self"], given["step"]
    if step == 1 or not (is_float(data) and is_fixed(data)) or rank(data) >= MOST_DIMENSIONS:
        return None
    axis = given["dim"] % rank(data)
    sizes, result = shape(data), shape(node)
    length, count = sizes[axis], result[axis]
    start = given["start"] or 0
    start = max(start + length, 0) if start < 0 else start
    if count == 0:
        return None
    wanted = count * step
    if wanted > length:
        return _gathered(write, data, axis, list(range(start, start + wanted, step)))
    begin = min(start, length - wanted)  # earlier than it need be, where the last step is cut off
    whole = write.slice(data, axis, begin, begin + wanted)
    rows = write.reshape(whole, [*sizes[:axis], count, step, *sizes[axis + 1 :]])
    return write.reshape(write.slice(rows, axis + 1, start - begin, start - begin + 1), result)


def roll(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a roll as two slices that change places."""
    given = arguments(node)
    data, shifts, dims = given["self"], list(given["shifts"]), list(given["dims"] or ())
    if not (is_float(data) and is_fixed(data)) or rank(data) > MOST_DIMENSIONS:
        return None
    sizes = shape(data)
    if not dims:
        count = 1
        for size in sizes:
            count *= size
        flat = write.reshape(data, [count])
        return write.reshape(_rolled(write, flat, 0, shifts[0]), sizes)
    result = data
    for shift, axis in zip(shifts, dims, strict=True):
        result = _rolled(write, result, axis % len(sizes), shift)
    return result if result is not data else None


def _rolled(write: Writer, data: fx.Node, axis: int, shift: int) -> fx.Node:
    size = shape(data)[axis]
    cut = -shift % size
    if not cut:
        return data
    return write.cat([write.slice(data, axis, cut, size), write.slice(data, axis, 0, cut)], axis)


def flip(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the reversal of dimensions as rows in reverse order."""
    given = arguments(node)
    data, dims = given["self"], [dim % rank(given["self"]) for dim in given["dims"]]
    if not (is_float(data) and is_fixed(data)) or not all(can_reverse(data, axis) for axis in dims):
        return None
    for axis in dims:
        data = backward(write, data, axis)
    return data if dims else None


def can_reverse(data: fx.Node, axis: int) -> bool:
    """Whether `backward` takes a dimension: it is short enough, or can be folded into two."""
    size = shape(data)[axis]
    return rank(data) <= MOST_DIMENSIONS and size <= (_MOST_RUNS if rank(data) == MOST_DIMENSIONS else MOST_REVERSED)


def backward(write: Writer, data: fx.Node, axis: int) -> fx.Node:
    """Return the rows of a dimension in reverse order, of which a long one is folded: so many slices as twice its root.

    Args:
        write: Adds nodes.
        data: Values of fixed sizes, of which `can_reverse` is true.
        axis: The dimension.
    """
    sizes = shape(data)
    size = sizes[axis]
    if size <= _MOST_RUNS:
        return write.cat([write.slice(data, axis, row, row + 1) for row in reversed(range(size))], axis)
    columns = math.isqrt(size)
    rows = size // columns
    whole = write.slice(data, axis, 0, rows * columns)
    folded = write.reshape(whole, [*sizes[:axis], rows, columns, *sizes[axis + 1 :]])
    for place, count in ((axis, rows), (axis + 1, columns)):
        folded = write.cat([write.slice(folded, place, row, row + 1) for row in reversed(range(count))], place)
    found = write.reshape(folded, shape(whole))
    if rows * columns == size:
        return found
    return write.cat([backward(write, write.slice(data, axis, rows * columns, size), axis), found], axis)


def frames(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write frames of a dimension, which may overlap, as its steps beside each other, later ones for later parts."""
    given = arguments(node)
    data, size, step = given["self"], given["size"], given["step"]
    if not (is_float(data) and is_fixed(data)) or rank(data) >= MOST_DIMENSIONS:
        return None
    axis, parts = given["dimension"] % rank(data), -(-size // step)
    if parts > _MOST_RUNS:
        return None
    others = [place for place in range(rank(data)) if place != axis]
    count = shape(node)[axis]
    last = write.permute(data, [*others, axis])
    length, wanted = shape(last)[-1], (count + parts - 1) * step
    if wanted > length:
        last = write(_aten.constant_pad_nd.default, last, [0, wanted - length], 0.0)
    rows = write.reshape(write.slice(last, rank(last) - 1, 0, wanted), [*shape(last)[:-1], wanted // step, step])
    beside = write.cat([write.slice(rows, rank(rows) - 2, part, part + count) for part in range(parts)], rank(rows) - 1)
    cut = write.slice(beside, rank(beside) - 1, 0, size)
    order = list(range(axis)), list(range(axis, rank(data) - 1))
    return write.permute(cut, [*order[0], rank(data) - 1, *order[1], rank(data)])


def gather_rows(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a choice of rows that are known as slices of those that follow each other."""
    given = arguments(node)
    data = given["self"]
    if node.target is _aten.index.Tensor:
        indices = [index for index in given["indices"] if index is not None]
        axis = next((i for i, index in enumerate(given["indices"]) if index is not None), 0)
        index = indices[0] if len(indices) == 1 else None
    else:
        axis, index = given["dim"] % rank(data), given["index"]
    rows = tensor_of(write.program, index)
    if rows is None or rows.dim() != 1 or rows.dtype.is_floating_point or rows.dtype is torch.bool:
        return None
    if not (is_float(data) and is_fixed(data)) or rank(data) > MOST_DIMENSIONS:
        return None
    size = shape(data)[axis]
    return _gathered(write, data, axis, [int(row) % size for row in rows.tolist()])


def _gathered(write: Writer, data: fx.Node, axis: int, rows: list[int]) -> fx.Node | None:
    runs: list[list[int]] = []
    for row in rows:
        if runs and row == runs[-1][1]:
            runs[-1][1] += 1
        elif len(runs) == _MOST_RUNS:
            return None
        else:
            runs.append([row, row + 1])
    if not runs:
        return None
    return write.cat([write.slice(data, axis, start, end) for start, end in runs], axis)


def scattered(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write what replaces some rows that follow each other, as a write to a slice does, as these between the others."""
    given = arguments(node)
    data, rows = given["self"], given["src"]
    if not (is_float(data) and is_float(rows) and is_fixed(data, rows)) or rank(data) > MOST_DIMENSIONS:
        return None
    axis, sizes = given["dim"] % rank(data), shape(data)
    length = sizes[axis]
    if node.target is _aten.select_scatter.default:
        start = given["index"] % length
        rows = write.reshape(rows, [*sizes[:axis], 1, *sizes[axis + 1 :]])
    else:
        start = given["start"] or 0
        start = min(max(start + length, 0) if start < 0 else start, length)
    if given.get("step", 1) != 1:
        return None
    end = start + shape(rows)[axis]
    parts = [(0, start), (end, length)]
    before, behind = ([write.slice(data, axis, *part)] if part[0] < part[1] else [] for part in parts)
    return write.cat([*before, rows, *behind], axis)


def copied(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write values that take the place of all others as themselves."""
    source = node.args[1]
    if isinstance(source, int | float) and is_float(node) and is_fixed(node):
        return write.unnamed(torch.full(shape(node), float(source)))
    if (
        not isinstance(source, fx.Node)
        or not (is_float(node) and is_fixed(node, source))
        or rank(node) > MOST_DIMENSIONS
    ):
        return None
    whole = [*[1] * (rank(node) - rank(source)), *shape(source)]
    known = tensor_of(write.program, source)
    if known is not None and whole != shape(node):
        return write.unnamed(known.float().expand(shape(node)))
    if not is_float(source):
        return None
    times = [1 if size == wanted else wanted for size, wanted in zip(whole, shape(node), strict=True)]
    turned = write.reshape(source, whole)
    return turned if whole == shape(node) else write.mul(turned, write.constant(f"ones_{times}", torch.ones(times)))


def drop_ones(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write what adds or drops dimensions of size one as a view."""
    data = node.args[0]
    assert isinstance(data, fx.Node)
    result = shape(node)
    symbols = [size for size in result if not isinstance(size, int)]
    if not is_float(data) or len(symbols) > 1 or max(len(result), rank(data)) > MOST_DIMENSIONS:
        return None
    return write.reshape(data, result)


def expand(write: Writer, node: fx.Node) -> fx.Node | None:
    """Drop an expansion that repeats nothing, or whose readers repeat by themselves; another multiplies with ones."""
    data = node.args[0]
    assert isinstance(data, fx.Node)
    if not is_float(data) or not is_fixed(data) or not is_fixed(node) or rank(node) > MOST_DIMENSIONS:
        return None
    whole = [*[1] * (rank(node) - rank(data)), *shape(data)]
    if whole == shape(node) or all(_broadcasts(user, node) for user in node.users):
        return write.reshape(data, whole)
    times = [1 if size == wanted else wanted for size, wanted in zip(whole, shape(node), strict=True)]
    return write.mul(write.reshape(data, whole), write.constant(f"ones_{times}", torch.ones(times)))


def _broadcasts(user: fx.Node, node: fx.Node) -> bool:
    if user.target not in (_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor) or user.kwargs:
        return False
    other = [one for one in user.all_input_nodes if one is not node]
    return len(other) == 1 and shape(other[0]) == shape(user) and rank(user) == rank(node)

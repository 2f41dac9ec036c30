"""Write sums, means and norms over any dimensions as products with a constant, and powers as products and roots."""

import math
from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import MOST_DIMENSIONS, Writer, is_float, rank, shape
from edgekit.model.graph import arguments

_aten = torch.ops.aten
LONGEST = 8192
"""Most that is summed: the constant is as long."""
_LONGEST_SUMS = 512


def total(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a sum."""
    given = arguments(node)
    return _reduced(write, node, given["self"], given["dim"], 1.0) if given["dtype"] is None else None


def mean(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a mean, but for those over places or tokens, which are pools: see `pool_means`."""
    given = arguments(node)
    data = given["self"]
    axes = [axis % rank(data) for axis in given["dim"] or ()]
    if given["dtype"] is not None or (rank(data), sorted(axes)) in ((4, [2, 3]), (3, [1]), (3, [2])):
        return None
    count = math.prod(size for axis, size in enumerate(shape(data)) if axis in axes and isinstance(size, int))
    return _reduced(write, node, data, axes, 1 / max(count, 1))


def variance(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a variance."""
    given = arguments(node)
    rows = rows_of(write, given["self"], given["dim"])
    if rows is None:
        return None
    length = shape(rows)[-1]
    given.setdefault("correction", int(given.get("unbiased", True)))
    correction = 1 if given["correction"] is None else given["correction"]
    if length <= correction:
        return None
    centered = write.sub(rows, write.sum_last(rows, 1 / length))
    result = write.sum_last(write.square(centered), 1 / (length - correction))
    return write.reshape(result, shape(node))


def deviation(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a standard deviation."""
    found = variance(write, node)
    return None if found is None else write(_aten.sqrt.default, found)


def cosine(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the cosine between vectors of the same shape."""
    given = arguments(node)
    both = [given["x1"], given["x2"]]
    if str(shape(both[0])) != str(shape(both[1])):
        return None
    rows = [rows_of(write, one, given["dim"]) for one in both]
    if rows[0] is None or rows[1] is None:
        return None
    left, right = (
        write(_aten.div.Tensor, one, write(_aten.clamp.default, _length(write, one), given["eps"]))
        for one in rows
        if one is not None
    )
    return write.reshape(write.sum_last(write.mul(left, right)), shape(node))


def distance(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the Euclidean distance between vectors of the same shape."""
    given = arguments(node)
    left, right = given["x1"], given["x2"]
    if given["p"] != 2 or str(shape(left)) != str(shape(right)) or not (is_float(left) and is_float(right)):
        return None
    rows = rows_of(write, write.add(write.sub(left, right), given["eps"]), -1)
    return None if rows is None else write.reshape(_length(write, rows), shape(node))


def running(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write running sums as a product with a triangle of ones."""
    given = arguments(node)
    data = given["self"]
    if not is_float(data) or given["dtype"] is not None or rank(data) == 0:
        return None
    axis = given["dim"] % rank(data)
    size = shape(data)[axis]
    if not isinstance(size, int) or size > _LONGEST_SUMS or sum(not isinstance(n, int) for n in shape(data)) > 1:
        return None
    triangle = write.constant(f"triangle_{size}", torch.ones(size, size).tril())
    return write.to_last(write(_aten.linear.default, write.to_last(data, axis), triangle), axis)


def norm(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a Euclidean norm, or a sum of absolute values."""
    given = arguments(node)
    order = given.get("ord", given.get("p"))
    data = given["self"]
    if given.get("dtype") is not None or order not in (1, 2, None):
        return None
    rows = rows_of(write, data, given["dim"])
    if rows is None:
        return None
    result = write.sum_last(write(_aten.abs.default, rows)) if order == 1 else _length(write, rows)
    return write.reshape(result, shape(node))


def power(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a power of few halves and quarters as products and roots."""
    given = arguments(node)
    data, exponent = given["self"], given["exponent"]
    if not isinstance(data, fx.Node) or not is_float(data) or not isinstance(exponent, int | float):
        return None
    if exponent == 2:
        return write.square(data) if isinstance(exponent, float) else None
    size = abs(exponent)
    if size * 4 != int(size * 4) or not 0 < size <= 4:
        return None
    factors = [data] * int(size)
    root = write(_aten.sqrt.default, data) if size % 1 else data
    if size % 1 in (0.5, 0.75):
        factors.append(root)
    if size % 1 in (0.25, 0.75):
        factors.append(write(_aten.sqrt.default, root))
    result = factors[0]
    for factor in factors[1:]:
        result = write.mul(result, factor)
    if exponent > 0:
        return result if len(factors) > 1 or size % 1 else None
    return write(_aten.div.Tensor, write.constant("one", torch.ones(1)), result)


def _length(write: Writer, rows: fx.Node) -> fx.Node:
    return write(_aten.sqrt.default, write.sum_last(write.square(rows)))


def _reduced(write: Writer, node: fx.Node, data: fx.Node, dims: Any, factor: float) -> fx.Node | None:
    rows = rows_of(write, data, dims)
    return None if rows is None else write.reshape(write.sum_last(rows, factor), shape(node))


def rows_of(write: Writer, data: fx.Node, dims: Any) -> fx.Node | None:
    """Return data with what is reduced as its last dimension; None where sizes are unknown, or too large."""
    if not is_float(data) or rank(data) > MOST_DIMENSIONS:
        return None
    axes = sorted(axis % rank(data) for axis in ([dims] if isinstance(dims, int) else dims or range(rank(data))))
    others = [axis for axis in range(rank(data)) if axis not in axes]
    sizes = shape(data)
    length = [sizes[axis] for axis in axes]
    if not others or not all(isinstance(size, int) for size in length) or math.prod(length) > LONGEST:
        return None
    if sum(not isinstance(sizes[axis], int) for axis in others) > 1:
        return None
    moved = write.permute(data, [*others, *axes])
    return moved if len(axes) == 1 else write.reshape(moved, [*(sizes[axis] for axis in others), math.prod(length)])

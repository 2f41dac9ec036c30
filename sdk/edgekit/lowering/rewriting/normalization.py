"""Write normalizations as sums, differences and products, which XNNPACK takes: it has no layer norm.

One outside costs a delegate, and a transformer has two in each block.
"""

from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import Writer, is_float, rank, shape
from edgekit.model.graph import arguments

_aten = torch.ops.aten
# Longer rows are summed in two steps: the constant that does it is as long as a row.
_LONGEST_ROW = 4096


def layer_norm(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a layer norm."""
    given = arguments(node)
    data, sizes = given["input"], list(given["normalized_shape"])
    if not is_float(data) or not all(isinstance(size, int) for size in sizes):
        return None
    result = normalize(write, data, len(sizes), given["eps"])
    return _affine(write, result, given["weight"], given["bias"])


def rms_norm(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a normalization by the root of the mean square."""
    given = arguments(node)
    data, sizes = given["input"], list(given["normalized_shape"])
    if not is_float(data) or not all(isinstance(size, int) for size in sizes):
        return None
    eps = given["eps"] if given["eps"] is not None else torch.finfo(torch.float32).eps
    result = normalize(write, data, len(sizes), eps, centered=False)
    return _affine(write, result, given["weight"], None)


def group_norm(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a group norm."""
    given = arguments(node)
    return _by_groups(write, given["input"], given["num_groups"], given["weight"], given["bias"], given["eps"])


def instance_norm(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write an instance norm that uses the statistics of its input."""
    given = arguments(node)
    if not given["use_input_stats"]:
        return None
    data = given["input"]
    return _by_groups(write, data, shape(data)[1], given["weight"], given["bias"], given["eps"])


def normalize(write: Writer, data: fx.Node, axes: int, eps: float, centered: bool = True) -> fx.Node:
    """Return data with its last dimensions normalized together, in its shape.

    Args:
        write: The writer.
        data: Float values.
        axes: How many dimensions.
        eps: Added to the variance.
        centered: Whether the mean is taken away.
    """
    sizes = shape(data)
    count = 1
    for size in sizes[-axes:]:
        count *= size
    rows = data if axes == 1 else write.reshape(data, [*sizes[:-axes], count])
    if centered:
        rows = write.sub(rows, _mean(write, rows))
    variance = _mean(write, write.square(rows))
    result = write.mul(rows, write(_aten.rsqrt.default, write.add(variance, eps)))
    return result if axes == 1 else write.reshape(result, sizes)


def _mean(write: Writer, rows: fx.Node) -> fx.Node:
    sizes = shape(rows)
    length = sizes[-1]
    parts = next((n for n in range(2, length) if length % n == 0 and length // n <= _LONGEST_ROW), 1)
    if length <= _LONGEST_ROW or parts > _LONGEST_ROW or parts == 1:
        return write.sum_last(rows, 1 / length)
    partial = write.sum_last(write.reshape(rows, [*sizes[:-1], parts, length // parts]), parts / length)
    return write.sum_last(write.reshape(partial, [*sizes[:-1], parts]), 1 / parts)


def _by_groups(write: Writer, data: fx.Node, groups: int, weight: Any, bias: Any, eps: float) -> fx.Node | None:
    sizes = shape(data)
    if not is_float(data) or not all(isinstance(size, int) for size in sizes[1:]):
        return None
    count = 1
    for size in sizes[1:]:
        count *= size
    grouped = write.reshape(data, [sizes[0], groups, count // groups])
    result = write.reshape(normalize(write, grouped, 1, eps), sizes)
    ones = [1] * (rank(data) - 2)
    parts = [None if one is None else write.reshape(one, [1, sizes[1], *ones]) for one in (weight, bias)]
    return _affine(write, result, *parts)


def _affine(write: Writer, result: fx.Node, weight: fx.Node | None, bias: fx.Node | None) -> fx.Node:
    if weight is not None:
        result = write.mul(result, weight)
    return result if bias is None else write.add(result, bias)

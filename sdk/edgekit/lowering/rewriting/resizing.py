"""Write the enlargement of pictures as copies behind each other, or as products with the shares of each pixel."""

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import Writer, is_float, rank, shape

_aten = torch.ops.aten
# A product with the shares grows with the square of the size.
_LARGEST = 64


def nearest(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write an enlargement that repeats each value a whole number of times."""
    data = node.args[0]
    assert isinstance(data, fx.Node)
    if not is_float(data) or rank(data) not in (3, 4):
        return None
    sizes, wanted = shape(data), shape(node)
    if not all(isinstance(size, int) for size in (*sizes[1:], *wanted[1:])):
        return None
    times = [n // size for n, size in zip(wanted[2:], sizes[2:], strict=True)]
    if [size * n for size, n in zip(sizes[2:], times, strict=True)] != wanted[2:]:
        return None
    result = data
    for axis in range(rank(data) - 1, 1, -1):
        result = _repeated(write, result, axis, times[axis - 2])
    return result if result is not data else write.reshape(data, sizes)


def _repeated(write: Writer, data: fx.Node, axis: int, times: int) -> fx.Node:
    """Return data with each row of a dimension as often as wanted, through four dimensions at most."""
    if times == 1:
        return data
    sizes = shape(data)
    inner = 1
    for size in sizes[axis + 1 :]:
        inner *= size
    outer = 1
    for size in sizes[1:axis]:
        outer *= size
    rows = write.reshape(data, [sizes[0], outer * sizes[axis], 1, inner])
    ones = write.constant(f"ones_{times}", torch.ones(1, 1, times, 1))  # XNNPACK joins no tensor with itself
    return write.reshape(write.mul(rows, ones), [*sizes[:axis], sizes[axis] * times, *sizes[axis + 1 :]])


def by_shares(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a small enlargement in which each value is a sum of others, along one side after the other."""
    data = node.args[0]
    assert isinstance(data, fx.Node)
    sizes, wanted = shape(data), shape(node)
    if not is_float(data) or rank(data) != 4 or not all(isinstance(n, int) for n in (*sizes[1:], *wanted[1:])):
        return None
    if max(*sizes[2:], *wanted[2:]) > _LARGEST:
        return None
    result = data
    for axis in (3, 2):
        size, target = sizes[axis], wanted[axis]
        if size != target:
            shares = _shares(node, axis, sizes, wanted)
            moved = write(_aten.linear.default, write.to_last(result, axis), shares_of(write, node, axis, shares))
            result = write.to_last(moved, axis)
    return result if result is not data else None


def shares_of(write: Writer, node: fx.Node, axis: int, shares: torch.Tensor) -> fx.Node:
    """Return the shares as a constant of the program."""
    return write.constant(f"{node.name}_{axis}", shares)


def _shares(node: fx.Node, axis: int, sizes: list[int], wanted: list[int]) -> torch.Tensor:
    """Return (wanted, size): what the operation itself makes of a picture of one pixel."""
    size, target = sizes[axis], wanted[axis]
    pictures = torch.eye(size).reshape(size, 1, 1, size) if axis == 3 else torch.eye(size).reshape(size, 1, size, 1)
    assert callable(node.target)
    output = [1, target] if axis == 3 else [target, 1]
    arguments = list(node.args[1:])
    arguments[0] = output
    if len(arguments) > 2:
        arguments[2] = None  # factors: the sizes say the same
    made: torch.Tensor = node.target(pictures, *arguments)
    return made.reshape(size, target).T.contiguous()

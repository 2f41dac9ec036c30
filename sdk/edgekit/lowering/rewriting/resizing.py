"""Write the enlargement of pictures as copies behind each other, or as products with the shares of each pixel."""

import math
from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import Writer, is_float, rank, shape
from edgekit.model.graph import arguments

_aten = torch.ops.aten
# A product with the shares grows with the square of the size.
_LARGEST = 64
_LARGEST_FACTORED = 512


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
        return by_shares(write, node)
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


def repeat(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write copies of data behind each other as products with ones."""
    data, times = node.args
    assert isinstance(data, fx.Node)
    assert isinstance(times, list | tuple)
    if not is_float(data) or sum(not isinstance(size, int) for size in shape(data)) > 1:
        return None
    if not all(isinstance(number, int) and number > 0 for number in times):
        return None
    sizes = [*[1] * (len(times) - rank(data)), *shape(data)]
    if any(number > 1 and not isinstance(size, int) for number, size in zip(times, sizes, strict=True)):
        return None
    result = data
    for axis, number in enumerate(times):
        if number > 1:
            inner = sizes[axis:]
            if not all(isinstance(size, int) for size in inner):
                return None
            before = sizes[:axis]
            flat = [-1 if any(not isinstance(size, int) for size in before) else math.prod(before)]
            rows = write.reshape(result, [*flat, 1, math.prod(inner)])
            copies = write.mul(rows, write.constant(f"copies_{number}", torch.ones(1, number, 1)))
            sizes[axis] *= number
            result = write.reshape(copies, sizes)
    return result if result is not data else write.reshape(data, sizes)


def affine_grid(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the places that affine maps take a picture's pixels to as a product with the pixels' own places."""
    given = arguments(node)
    maps, size, aligned = given["theta"], list(given["size"]), given["align_corners"]
    if not is_float(maps) or len(size) != 4 or not all(isinstance(one, int) for one in size[2:]):
        return None
    same = torch.eye(2, 3).unsqueeze(0)
    own = torch.nn.functional.affine_grid(same, [1, 1, *size[2:]], aligned).reshape(-1, 2)
    places = write.constant(f"places_{size[2:]}_{aligned}", torch.cat([own, torch.ones(len(own), 1)], 1))
    moved = write(_aten.linear.default, maps, places)
    return write.reshape(write.permute(moved, [0, 2, 1]), shape(node))


def bilinear(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a bilinear enlargement whose factors are no ratio of the sizes, which alone XNNPACK goes by."""
    data, _, _, factors = node.args
    assert isinstance(data, fx.Node)
    sizes, wanted = shape(data)[2:], shape(node)[2:]
    if not isinstance(factors, list | tuple) or not all(isinstance(size, int) for size in (*sizes, *wanted)):
        return None
    same = all(size * float(n) == target for size, n, target in zip(sizes, factors, wanted, strict=True))
    return None if same else by_shares(write, node, largest=_LARGEST_FACTORED)


def by_shares(write: Writer, node: fx.Node, largest: int = _LARGEST) -> fx.Node | None:
    """Write a small enlargement in which each value is a sum of others, along one side after the other."""
    data = node.args[0]
    assert isinstance(data, fx.Node)
    sizes, wanted = shape(data), shape(node)
    if not is_float(data) or rank(data) not in (3, 4) or not all(isinstance(n, int) for n in (*sizes[1:], *wanted[1:])):
        return None
    if max(*sizes[2:], *wanted[2:]) > largest:
        return None
    result = data
    for axis in range(rank(data) - 1, 1, -1):
        if sizes[axis] != wanted[axis]:
            shares = write.constant(f"{node.name}_{axis}", _shares(node, axis, sizes, wanted))
            result = write.to_last(write(_aten.linear.default, write.to_last(result, axis), shares), axis)
    return result if result is not data else None


def _shares(node: fx.Node, axis: int, sizes: list[int], wanted: list[int]) -> torch.Tensor:
    """Return (wanted, size): what the operation itself makes of a picture of one row or column."""
    size, places = sizes[axis], len(sizes) - 2
    found, output = [1] * places, [1] * places
    found[axis - 2], output[axis - 2] = size, wanted[axis]
    assert callable(node.target)
    arguments: list[Any] = list(node.args[1:])
    factors = arguments[-1]  # they say more than the sizes: 5 times 1.5 gives 7, which is not 5 times 1.4
    arguments[0] = output
    if factors is not None:
        arguments[0], arguments[-1] = None, [1.0] * places
        arguments[-1][axis - 2] = factors[axis - 2]
    made: torch.Tensor = node.target(torch.eye(size).reshape(size, 1, *found), *arguments)
    return made.reshape(size, wanted[axis]).T.contiguous()

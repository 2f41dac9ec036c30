"""Where the channels of a layer lie in its output after it is viewed in other shapes and its axes are permuted.

Channels are numbered by factors, row first: 255 channels viewed as 3 anchors of 85 numbers are those of the factors 3
and 85. Each factor is followed to the axis that holds it and nothing else, as far as there is one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

_aten = torch.ops.aten
_SAME = {_aten.contiguous.default, _aten.clone.default, _aten.alias.default, _aten.detach.default}
VIEWS = {_aten.view.default, _aten.reshape.default, _aten._unsafe_view.default}
"""Operations whose second argument is the shape of what comes out."""
_SHAPED = VIEWS | {_aten.flatten.using_ints, _aten.squeeze.dim, _aten.unsqueeze.default}


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Sizes whose product is the number of channels, and the axis of each; None: it is merged with something else."""

    sizes: tuple[int, ...]
    axes: tuple[int | None, ...]

    def at(self, axis: int) -> int | None:
        """Return the factor that an axis holds."""
        return self.axes.index(axis) if axis in self.axes else None

    def channels(self, factor: int, start: int, end: int) -> tuple[int, ...]:
        """Return the numbers of the channels whose number along a factor lies in a range, in order."""
        numbers = torch.arange(math.prod(self.sizes)).view(self.sizes)
        return tuple(numbers.narrow(factor, start, end - start).flatten().tolist())

    def holding(self, finer: "Factors", factor: int) -> int:
        """Return the axis that holds a factor of a finer division, whole or as a part of one of its own."""
        inner = math.prod(finer.sizes[factor + 1 :])
        number = next(one for one in range(len(self.sizes)) if math.prod(self.sizes[one + 1 :]) <= inner)
        axis = self.axes[number]
        assert axis is not None  # what is merged once is never apart again
        return axis


def through(node: fx.Node, factors: Factors) -> Factors | None:
    """Return where the channels of an operation's first argument lie in what it gives; None if it does more than that.

    Args:
        node: The operation, with values in its meta.
        factors: Where they lie in its argument.
    """
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node):
        return None
    before, after = source.meta.get("val"), node.meta.get("val")
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return None
    if node.target in _SAME:
        return factors
    if node.target is _aten.transpose.int:
        order = list(range(before.dim()))
        one, other = (_integer(place) % before.dim() for place in node.args[1:3])
        order[one], order[other] = order[other], order[one]
        return _permuted(factors, order)
    if node.target is _aten.permute.default:
        assert isinstance(node.args[1], Sequence)
        return _permuted(factors, [_integer(place) % before.dim() for place in node.args[1]])
    if node.target in _SHAPED:
        return _viewed(factors, tuple(before.shape), tuple(after.shape))
    return None


def _permuted(factors: Factors, order: Sequence[int]) -> Factors:
    return replace(factors, axes=tuple(None if axis is None else order.index(axis) for axis in factors.axes))


def _viewed(factors: Factors, before: tuple[Any, ...], after: tuple[Any, ...]) -> Factors:
    sizes, axes = list[int](), list[int | None]()
    for size, axis in zip(factors.sizes, factors.axes, strict=True):
        found = [(size, None)] if axis is None else _held(size, before[:axis], before[axis + 1 :], after)
        sizes += [one for one, _ in found]
        axes += [place for _, place in found]
    return Factors(sizes=tuple(sizes), axes=tuple(axes))


def _held(
    size: int, ahead: tuple[Any, ...], behind: tuple[Any, ...], after: tuple[Any, ...]
) -> list[tuple[int, int | None]]:
    """Return the sizes that an axis is split into by a new shape, each with the axis that holds it alone, if one does.

    The axis ends where as many numbers are behind it as before; or, where those vary, begins behind those ahead.

    Args:
        size: Of the axis.
        ahead: The sizes ahead of it in the old shape.
        behind: Those behind it.
        after: The new shape.
    """
    if all(isinstance(one, int) for one in behind):
        return _split(size, math.prod(behind), after)
    place = _same(ahead, after)
    found, product = list[tuple[int, int | None]](), 1
    while place is not None and place < len(after) and isinstance(after[place], int) and product < size:
        found.append((after[place], place))
        product, place = product * after[place], place + 1
    return found if product == size and found else [(size, None)]


def _split(size: int, inner: int, after: tuple[Any, ...]) -> list[tuple[int, int | None]]:
    found, product, reached = list[tuple[int, int | None]](), 1, 1
    for place in range(len(after) - 1, -1, -1):
        one = after[place]
        if not isinstance(one, int):
            break
        if product >= inner and product % inner == 0 and size % (product // inner * one) == 0 and one > 1:
            if product // inner != reached:  # something between is in two axes
                break
            found.append((one, place))
            reached *= one
        product *= one
    rest = size // reached
    return [*([(rest, None)] if rest > 1 or not found else []), *reversed(found)]


def _same(ahead: tuple[Any, ...], after: tuple[Any, ...]) -> int | None:
    """Return how many sizes of a new shape hold what some sizes of the old one did; None if none do."""
    for place in range(len(after) + 1):
        one, other = (math.prod(size for size in sizes if isinstance(size, int)) for sizes in (ahead, after[:place]))
        varying = [[size for size in sizes if not isinstance(size, int)] for sizes in (ahead, after[:place])]
        if one == other and varying[0] == varying[1]:
            return place
    return None


def _integer(value: object) -> int:
    assert isinstance(value, int)
    return value

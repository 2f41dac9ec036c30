"""What an app may do with one load of a file: batches that grow, shrink and come again, and other lengths."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.data.samples import Array, Samples
from edgekit.model.program import Source
from edgekit.spec import TensorSpec

# As many different samples as batches are filled with; more are repetitions.
_DISTINCT = 8
_MIDDLE = 16


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes that a dimension may have."""

    least: int
    most: int

    @property
    def middle(self) -> int:
        """A size in between: where the batch may be larger, the one that a program is traced with."""
        return max(self.least, min(_MIDDLE, self.most // 4))


def batch_sizes(source: Source) -> Sizes:
    """Return how many samples a call may take."""
    first = source.inputs[0].shape[0]
    return Sizes(least=first, most=first) if isinstance(first, int) else Sizes(least=1, most=source.dimensions[first])


def lengths(source: Source) -> dict[str, Sizes]:
    """Return the symbolic dimensions that are no batch."""
    first = {spec.shape[0] for spec in source.inputs}
    names = {size for spec in source.inputs for size in spec.shape[1:] if isinstance(size, str)}
    return {name: Sizes(least=1, most=source.dimensions[name]) for name in sorted(names - first)}


def orders(sizes: Sizes) -> tuple[tuple[int, ...], ...]:
    """Return sizes of calls, one after the other on one load, for several loads.

    Growing from the least and from the middle are two things: a library plans its memory when it is called first.
    """
    least, most, middle = sizes.least, sizes.most, sizes.middle
    if least == most:
        return ((most, most, most),)
    odd = max(least, most // 2 + 1)
    return (least, middle, most, middle, odd, least), (middle, most, min(middle + 1, most), middle)


def tried(sizes: Sizes) -> tuple[int, ...]:
    """Return all sizes of `orders`."""
    return tuple(sorted({size for order in orders(sizes) for size in order}))


def few(samples: Samples, sizes: Sizes) -> Samples:
    """Return the samples that batches are filled with: the same ones however many there are, as far as there are."""
    count = max(_DISTINCT, sizes.least)
    count = -(-count // sizes.least) * sizes.least
    return samples.rows(np.resize(np.arange(min(len(samples), _DISTINCT)), count))


def at_length(samples: Samples, inputs: tuple[TensorSpec, ...], sizes: Mapping[str, int]) -> Samples:
    """Return the samples cut off or repeated along symbolic dimensions that are no batch."""

    def fitted(array: Array, spec: TensorSpec) -> Array:
        for axis, name in enumerate(spec.shape):
            if axis and isinstance(name, str) and name in sizes:
                array = np.take(array, np.resize(np.arange(array.shape[axis]), sizes[name]), axis=axis)
        return array

    return Samples(inputs={spec.name: fitted(samples.inputs[spec.name], spec) for spec in inputs})

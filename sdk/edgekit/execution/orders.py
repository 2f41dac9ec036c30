"""What an app may do with one load of a file: batches that grow, shrink and come again, and other lengths."""

from collections.abc import Mapping

import numpy as np

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model.program import Source
from edgekit.spec import Dimension, TensorSpec

# As many different samples as batches are filled with; more are repetitions.
_DISTINCT = 8
_MIDDLE = 16


def batch_sizes(source: Source) -> Dimension:
    """Return how many samples a call may take."""
    first = source.inputs[0].shape[0]
    return Dimension(min=first, max=first) if isinstance(first, int) else source.dimensions[first]


def lengths(source: Source) -> dict[str, Dimension]:
    """Return the symbolic dimensions that are no batch."""
    first = {spec.shape[0] for spec in source.inputs}
    names = {size for spec in source.inputs for size in spec.shape[1:] if isinstance(size, str)}
    return {name: source.dimensions[name] for name in sorted(names - first)}


def middle(sizes: Dimension) -> int:
    """Return a size in between: where the batch may be larger, the one that a program is traced with."""
    return sizes.nearest(min(_MIDDLE, sizes.max // 4))


def orders(sizes: Dimension) -> tuple[tuple[int, ...], ...]:
    """Return sizes of calls, one after the other on one load, for several loads.

    Growing from the least and from the middle are two things: a library plans its memory when it is called first.
    """
    least, most, between = sizes.least, sizes.max, middle(sizes)
    if least == most:
        return ((most, most, most),)
    odd, next_one = sizes.nearest(most // 2 + 1), sizes.nearest(between + sizes.multiple)
    return (least, between, most, between, odd, least), (between, most, next_one, between)


def tried(sizes: Dimension) -> tuple[int, ...]:
    """Return all sizes of `orders`."""
    return tuple(sorted({size for order in orders(sizes) for size in order}))


def few(samples: Samples, sizes: Dimension) -> Samples:
    """Return the samples that batches are filled with: the same ones however many there are, as far as there are."""
    count = max(_DISTINCT, sizes.least)
    count = -(-count // sizes.least) * sizes.least
    distinct = samples.rows(slice(_DISTINCT)).in_memory()
    return distinct.rows(np.resize(np.arange(len(distinct)), count))


def at_length(samples: Samples, inputs: tuple[TensorSpec, ...], sizes: Mapping[str, int]) -> Samples:
    """Return the samples cut off or repeated along symbolic dimensions that are no batch."""

    def fitted(array: Array, spec: TensorSpec) -> Array:
        for axis, name in enumerate(spec.shape):
            if axis and isinstance(name, str) and name in sizes:
                array = np.take(array, np.resize(np.arange(array.shape[axis]), sizes[name]), axis=axis)
        return array

    return Samples(inputs={spec.name: fitted(samples.array(spec.name), spec) for spec in inputs})

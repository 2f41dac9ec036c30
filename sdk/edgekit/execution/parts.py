"""Cut samples into the batches of calls."""

from collections.abc import Iterator

import numpy as np

from edgekit.data.samples import Samples
from edgekit.spec import TensorSpec


def parts(samples: Samples, inputs: tuple[TensorSpec, ...], batch: int) -> Iterator[tuple[Samples, int]]:
    """Yield what to pass to one call, and how many of its rows count.

    Args:
        samples: The samples.
        inputs: What a call takes. Where the batch is a number, every call gets so many: the last one with repetitions.
        batch: Samples per call, where the batch is a name.
    """
    first = inputs[0].shape[0] if inputs and inputs[0].shape else batch
    size = first if isinstance(first, int) else batch
    for part in samples.batches(size):
        count = len(part)
        fill = isinstance(first, int) and count < size
        yield (part.rows(np.arange(size, dtype=np.int64) % count) if fill else part), count

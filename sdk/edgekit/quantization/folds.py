"""Folds: two halves of the calibration samples that differ as much as the samples do.

What one half teaches is tried on the other. Crops of one photograph, or augmented copies of one sample, tell nothing of
each other: so samples that look alike stay together, and the halves part where samples differ most.
"""

import numpy as np
import numpy.typing as npt

from edgekit.data.samples import Samples

# Pieces of a sample, in memory order, that it is described by: the mean and the spread of each.
_PIECES = 24
# Fewer samples than this in a half tell nothing.
_LEAST = 4
_AT_ONCE = 64


def halves(samples: Samples) -> tuple[Samples, ...]:
    """Return two halves of samples, or all of them as one fold where there are too few.

    The samples are ordered along the direction in which their descriptions differ most, their first principal
    component, and parted in its middle.
    """
    if len(samples) < 2 * _LEAST:
        return (samples,)
    described = np.concatenate([_described(part) for part in samples.batches(_AT_ONCE)])
    described -= described.mean(0)
    spread = described.std(0)
    described /= np.where(spread > 0, spread, 1)
    _, _, directions = np.linalg.svd(described, full_matrices=False)
    order = np.argsort(described @ directions[0], kind="stable")
    middle = len(samples) // 2
    return tuple(samples.rows(np.sort(part).astype(np.int64)) for part in (order[:middle], order[middle:]))


def _described(samples: Samples) -> npt.NDArray[np.float64]:
    """Return means and spreads of pieces of each sample, float64 of shape (samples, features)."""
    features = []
    for source in samples.inputs.values():
        values = np.asarray(source).reshape(len(samples), -1)
        for piece in np.array_split(values, min(_PIECES, values.shape[1]), axis=1):
            if piece.shape[1]:
                features += [piece.mean(1, dtype=np.float64), piece.std(1, dtype=np.float64)]
    return np.stack(features, axis=1)

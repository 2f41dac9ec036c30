"""Two computations of the same samples, side by side, some rows at a time.

How many rows are looked at together changes no digit of a metric: sums are taken sample by sample, and what runs over
samples is added up in their order.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.data.rows import Array, Rows, at_once, cuts
from edgekit.drift.statistics import Doubles

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Some rows of both, in float64."""

    rows: slice
    """Their places among the samples."""
    given: Array
    """The reference as it was computed."""
    reference: Doubles
    candidate: Doubles
    """What is not finite in it is replaced by the reference."""
    finite: Bools
    """Which of the candidate's elements are finite."""

    @functools.cached_property
    def error(self) -> Doubles:
        """The reference less the candidate."""
        return self.reference - self.candidate


def pairs(reference: Rows, candidate: Rows) -> Iterator[Pair]:
    """Yield all rows of both in order, some at a time."""
    for rows in cuts(len(reference), at_once(reference.shape)):
        given = reference[rows]
        # Without a recorded baseline both may be the host's own answers.
        truth, value, finite = comparable(given, given if candidate is reference else candidate[rows])
        yield Pair(rows=rows, given=given, reference=truth, candidate=value, finite=finite)


def comparable(reference: Array, candidate: Array) -> tuple[Doubles, Doubles, Bools]:
    """Return both in float64, the candidate's values that are not finite replaced, and which ones are finite."""
    truth, value = reference.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(candidate)
    return truth, value if finite.all() else np.where(finite, value, truth), finite


class MeanOfRows:
    """The mean over rows that come part by part, of shape (rows, ...), as NumPy has it of the whole."""

    def __init__(self) -> None:
        """Wait for the first part."""
        self._total: Doubles | None = None
        self._count, self._single = 0, list[Doubles]()

    def add(self, part: Doubles) -> None:
        """Take the next rows."""
        self._count += len(part)
        if part[0].size == 1:  # NumPy adds up a single column in pairs
            self._single.append(part)
        elif self._total is None:  # and several row by row
            self._total = part.sum(axis=0)
        elif len(part) == 1:
            self._total += part[0]
        else:
            self._total = np.concatenate([self._total[None], part]).sum(axis=0)

    def value(self) -> Doubles:
        """Return the mean."""
        if self._total is not None:
            return self._total / self._count
        single: Doubles = np.concatenate(self._single).mean(axis=0)
        return single


def mean_of_rows(parts: Iterable[Doubles]) -> Doubles:
    """Return the mean over all rows of parts of shape (rows, ...)."""
    mean = MeanOfRows()
    for part in parts:
        mean.add(part)
    return mean.value()

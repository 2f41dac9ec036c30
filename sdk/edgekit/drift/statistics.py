"""Metrics as functions of which samples were drawn, and their confidence intervals by a bootstrap over samples.

Reference and candidate are always drawn together, and every metric of an output sees the same draws: an interval of a
ratio or a loss is that of paired samples. Draws come from one seed, so that the same traces give the same numbers.
See Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (the percentile interval).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from edgekit.spec import Bootstrap, Spec

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_SEED = 0
# What two orders of summation may differ by, as a share.
_DIGITS = 1e-13
# Elements of the table of draws that is held at once: 32 MB of counts.
_HELD = 4_000_000


@dataclass(frozen=True, kw_only=True)
class OfMeans:
    """A metric that is a function of means over samples; thousands of draws are one matrix product."""

    columns: Doubles
    """What each sample adds, of shape (samples, k)."""
    value: Callable[[Doubles], Doubles]
    """From means of shape (draws, k) to the metric, of shape (draws,)."""


@dataclass(frozen=True, kw_only=True)
class OfCounts:
    """A metric that must be computed anew for each draw."""

    value: Callable[[Counts], float]
    """From how often each sample was drawn, of shape (samples,), to the metric."""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A metric that follows from others of the same draw."""

    of: tuple[str, ...]
    value: Callable[..., Doubles]
    """From the others' values, each of shape (draws,), to the metric."""


Statistic = OfMeans | OfCounts | Derived


class Interval(Spec):
    """A confidence interval; both ends are values that draws really gave."""

    low: float | None
    """Lower end; null: infinite, as the SQNR of identical outputs."""
    high: float | None
    """Upper end; null: infinite."""


def mean_of(column: Array) -> OfMeans:
    """Return the statistic that is the mean of one number per sample."""
    return OfMeans(columns=column.reshape(-1, 1).astype(np.float64), value=lambda means: means[:, 0])


def joined(parts: Sequence[Mapping[str, Statistic]]) -> dict[str, Statistic]:
    """Return the statistics of all samples from those of some at a time, in the order of the samples.

    Args:
        parts: The same statistics of each part, by name; means over samples, and what follows from them.
    """
    found: dict[str, Statistic] = dict(parts[0])
    for name, first in parts[0].items():
        if isinstance(first, OfMeans):
            columns = [one.columns for part in parts if isinstance(one := part[name], OfMeans)]
            found[name] = OfMeans(columns=np.concatenate(columns), value=first.value)
    return found


def points(statistics: Mapping[str, Statistic], samples: int) -> dict[str, float]:
    """Return each metric over all samples as they are."""
    once = np.ones((1, samples), dtype=np.int64)
    return {name: float(values[0]) for name, values in _values(statistics, once).items()}


def intervals(statistics: Mapping[str, Statistic], samples: int, settings: Bootstrap) -> dict[str, Interval]:
    """Return the confidence interval of each metric.

    Args:
        statistics: The metrics by name; those that a derived one is of must be among them.
        samples: Number of samples, two or more.
        settings: Confidence level and number of draws.
    """
    if not statistics:
        return {}
    parts = [_values(statistics, counts) for counts in draws(samples, settings.resamples)]
    tail = (1 - settings.confidence) / 2
    whole = points(statistics, samples)
    return {name: _interval(np.concatenate([part[name] for part in parts]), tail, whole[name]) for name in statistics}


def draws(samples: int, resamples: int) -> Iterator[Counts]:
    """Yield how often each sample is drawn, with replacement: parts of shape (some resamples, samples)."""
    generator = np.random.default_rng(_SEED)
    at_once = max(1, _HELD // samples)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(samples, size=(rows, samples)) + samples * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * samples).reshape(rows, samples)


def _interval(values: Doubles, tail: float, whole: float) -> Interval:
    """Return the bounds of the values of all draws.

    Args:
        values: One for each draw.
        tail: The share of them beyond each bound.
        whole: The value of all samples. Sums of other numbers of draws differ from it in the last digit: a bound that
            is the same but for that is this value.
    """
    # A draw may have no value: the metric of a person's own code, or of classes that were not drawn.
    known = values[~np.isnan(values)]
    low = float(np.quantile(known, tail, method="lower"))  # no interpolation: it would turn infinity into NaN
    high = float(np.quantile(known, 1 - tail, method="higher"))
    low, high = (whole if np.isclose(bound, whole, rtol=_DIGITS, atol=0) else bound for bound in (low, high))
    return Interval(low=low if np.isfinite(low) else None, high=high if np.isfinite(high) else None)


def _values(statistics: Mapping[str, Statistic], counts: Counts) -> dict[str, Doubles]:
    found: dict[str, Doubles] = {}
    drawn = counts.astype(np.float64)
    for name, statistic in statistics.items():
        match statistic:
            case OfMeans():
                # Not by a matrix product: the order in which it adds, and so the last digit, depends on its threads.
                sums = np.einsum("ds,sk->dk", drawn, statistic.columns, optimize=False)
                found[name] = statistic.value(sums / counts.shape[1])
            case OfCounts():
                found[name] = np.array([statistic.value(row) for row in counts], dtype=np.float64)
            case Derived():
                found[name] = statistic.value(*(found[other] for other in statistic.of))
            case _:
                assert_never(statistic)
    return found

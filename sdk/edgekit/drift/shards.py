"""What some samples say of an output, and all of them from what each shard says: equal to the last digit.

A number is added up over samples in their order, or stands for a sample by itself. So shards, which are consecutive
samples, give what each of their samples adds; what must be known of all samples before, the means, goes from shard to
shard as a running sum. Sums of sums would be another order, and other last digits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, assert_never

import numpy as np

from edgekit.data.rows import Array, Rows, chunks, some
from edgekit.drift import varying
from edgekit.drift.dense import regression_statistics, segmentation_statistics
from edgekit.drift.metrics import Extremes, answered, classifier_statistics, element_statistics
from edgekit.drift.pairs import MeanOfRows, Pair, pairs
from edgekit.drift.statistics import Doubles, OfMeans, Statistic
from edgekit.drift.varying import Means
from edgekit.spec import TensorSpec

A = TypeVar("A")
B = TypeVar("B")


class Run(Protocol):
    """Calls a function for each of some values, anywhere and in any order, and gives what it returns in theirs."""

    def __call__(self, function: Callable[[A], B], values: Iterable[A], /) -> Iterable[B]:
        """Call it."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Consecutive samples of one output."""

    reference: Rows
    """What should have been computed, of shape (samples, ...)."""
    candidate: Rows
    """What was computed."""
    true: Rows | None
    """The true values, if known."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a shard must know of all samples; None where no metric asks for it."""

    means: Means | None
    true_mean: Doubles | None
    follows: bool
    """Whether the output must follow its input, see `edgekit.drift.varying`."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the samples of a shard say: arrays alone, which go from one process to another."""

    columns: dict[str, Doubles]
    """What each sample adds to each metric that is a mean, of shape (samples, k)."""
    extremes: Extremes
    energies: Doubles | None
    """See `edgekit.drift.varying`."""


def cut(whole: Shard, places: Sequence[slice]) -> list[Shard]:
    """Return shards of an output.

    Args:
        whole: All samples.
        places: Where each is, in order, and together all of them; none: the whole is one.
    """
    return [
        Shard(
            reference=some(whole.reference, place),
            candidate=some(whole.candidate, place),
            true=None if whole.true is None else some(whole.true, place),
        )
        for place in places
    ] or [whole]


def known(spec: TensorSpec, shards: Sequence[Shard]) -> Known:
    """Return what each shard must know of all, by sums that go from one to the next in the order of the samples."""
    follows = varying.applies(spec, shards[0].reference)
    if not follows and spec.meaning != "regression":
        return Known(means=None, true_mean=None, follows=False)
    theirs, ours, true = MeanOfRows(), MeanOfRows(), MeanOfRows()
    for shard in shards:
        for pair in pairs(shard.reference, shard.candidate):
            theirs.add(pair.reference)
            ours.add(pair.candidate)
        if spec.meaning == "regression" and shard.true is not None:
            for _, part in chunks(shard.true):
                true.add(part.astype(np.float64))
    has_true = spec.meaning == "regression" and shards[0].true is not None
    means = Means(reference=theirs.value(), candidate=ours.value())
    return Known(means=means, true_mean=true.value() if has_true else None, follows=follows)


def part_of(shard: Shard, spec: TensorSpec, known: Known) -> Part:
    """Return what the samples of a shard say of an output, but for metrics that hold samples against each other."""
    columns: dict[str, list[Doubles]] = {}
    energies, extremes = [], Extremes(max_abs_error=0.0, non_finite=0)
    for pair in pairs(shard.reference, shard.candidate):
        true = None if shard.true is None else shard.true[pair.rows]
        for name, statistic in _statistics(spec, pair, true, known).items():
            if isinstance(statistic, OfMeans):
                columns.setdefault(name, []).append(statistic.columns)
        extremes |= Extremes.of(pair)
        if known.means is not None and known.follows:
            energies.append(varying.varying(pair, known.means))
    return Part(
        columns={name: np.concatenate(found) for name, found in columns.items()},
        extremes=extremes,
        energies=np.concatenate(energies) if energies else None,
    )


def merged(parts: Sequence[Part]) -> Part:
    """Return what all samples say, from what those of each shard do, in their order."""
    extremes = parts[0].extremes
    for part in parts[1:]:
        extremes |= part.extremes
    energies = [part.energies for part in parts if part.energies is not None]
    return Part(
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        extremes=extremes,
        energies=np.concatenate(energies) if energies else None,
    )


def statistics_of(spec: TensorSpec, shard: Shard, known: Known, whole: Part) -> dict[str, Statistic]:
    """Return the metrics of all samples.

    Args:
        spec: The output.
        shard: Any of the shards: which metrics there are, and how they follow from means, is seen of its first sample.
        known: What was known of all samples.
        whole: What all of them say.
    """
    first = next(pairs(shard.reference[:1], shard.candidate[:1]))
    found = _statistics(spec, first, None if shard.true is None else shard.true[:1], known)
    return {
        name: OfMeans(columns=whole.columns[name], value=one.value) if isinstance(one, OfMeans) else one
        for name, one in found.items()
    }


def _statistics(spec: TensorSpec, pair: Pair, true: Array | None, known: Known) -> dict[str, Statistic]:
    return {**element_statistics(pair, spec.meaning), **_by_meaning(spec, pair, true, known)}


def _by_meaning(spec: TensorSpec, pair: Pair, true: Array | None, known: Known) -> dict[str, Statistic]:
    """Return the metrics that an output has beside those of every tensor, of some samples."""
    a, b = pair.reference, pair.candidate
    match spec.meaning:
        case "logits":
            return classifier_statistics(a, b, answered(pair.finite), true)
        case "segmentation":
            return segmentation_statistics(a, b, pair.finite, true)
        case "regression":
            assert known.means is not None
            values = None if true is None else true.astype(np.float64)
            return regression_statistics(a, b, values, known.means.reference, known.true_mean)
        case "embedding" | "boxes" | "tensor" | "image" | "scores" | "classes":
            return {}
        case _:
            assert_never(spec.meaning)

"""The drift metrics of tensors and of a classifier's logits. Each is one pure function of two arrays, in float64.

What a function returns of some samples joins with what it returns of others, see `edgekit.drift.statistics.joined`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from edgekit.data.rows import Rows, at_once, cuts
from edgekit.drift.pairs import Bools, Pair, pairs
from edgekit.drift.statistics import Derived, Doubles, OfMeans, Statistic, joined, mean_of, points
from edgekit.spec import Meaning, Spec


class Metrics(Spec):
    """Differences of one output from its reference; null where a metric does not apply.

    A name that ends in ``agreement`` takes the reference for the truth; ``reference_x`` is the reference's own ``x``.
    """

    sqnr_db: float | None
    """Signal to quantization noise ratio in dB; null when the two are identical, for then it is infinite, and for
    integers, which have none."""
    max_abs_error: float
    """Largest absolute error of any element."""
    mean_abs_error: float
    """Mean absolute error."""
    cosine: float
    """Cosine similarity, per sample, averaged."""
    non_finite: int
    """Elements that are NaN or infinite in the candidate; they are left out of the other numbers."""
    agreement: float | None = None
    """Share of the elements that are equal, per sample, averaged; integers and truth values only."""
    top1_agreement: float | None = None
    """Share of samples whose most likely class is the same; logits only."""
    top5_agreement: float | None = None
    """Mean overlap of the five most likely classes; logits only."""
    kl_divergence: float | None = None
    """Mean Kullback-Leibler divergence of the reference's softmax from the candidate's, in nats; logits only."""
    accuracy: float | None = None
    """Share of samples that the candidate labels rightly; logits with labels only."""
    reference_accuracy: float | None = None
    """The same of the reference."""
    pixel_agreement: float | None = None
    """Share of pixels whose most likely class is the same; segmentation only."""
    iou_agreement: float | None = None
    """Mean intersection over union with the reference's classes; segmentation only."""
    mean_iou: float | None = None
    """Mean intersection over union with the true classes; segmentation with true values only."""
    reference_mean_iou: float | None = None
    """The same of the reference."""
    map_agreement: float | None = None
    """Mean average precision with the reference's detections as true boxes; boxes only."""
    mean_ap: float | None = None
    """Mean average precision as COCO defines it (IoU 0.50 to 0.95); boxes with true values only."""
    reference_mean_ap: float | None = None
    """The same of the reference."""
    neighbour_agreement: float | None = None
    """Mean share of the reference's ten nearest neighbours that are the candidate's too; embeddings only."""
    r2_agreement: float | None = None
    """R2 with the reference as the truth; regression only."""
    r2: float | None = None
    """R2 against the true values; regression with true values only."""
    reference_r2: float | None = None
    """The same of the reference."""
    mae: float | None = None
    """Mean absolute error from the true values; regression with true values only."""
    reference_mae: float | None = None
    """The same of the reference."""
    custom: dict[str, float] = Field(default_factory=dict)
    """What the project's own metric returns, by name."""


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """What single elements say, of some samples or of all."""

    max_abs_error: float
    non_finite: int

    @classmethod
    def of(cls, pair: Pair) -> "Extremes":
        """Return those of some samples."""
        missing = pair.finite.size - int(np.count_nonzero(pair.finite))
        return cls(max_abs_error=float(np.abs(pair.error).max()), non_finite=missing)

    def __or__(self, other: "Extremes") -> "Extremes":
        return Extremes(
            max_abs_error=float(np.maximum(self.max_abs_error, other.max_abs_error)),
            non_finite=self.non_finite + other.non_finite,
        )


def measure(reference: Rows, candidate: Rows, *, logits: bool, labels: npt.NDArray[np.int64] | None) -> Metrics:
    """Measure the difference of ``candidate`` from ``reference``, both of shape (samples, ...), without intervals.

    Args:
        reference: What should have been computed; finite.
        candidate: What was computed.
        logits: Whether the last axis holds unnormalised log probabilities of classes.
        labels: True classes, int64 of shape (samples,), if known.

    Raises:
        ValueError: If the shapes differ or there is nothing to compare.
    """
    if reference.shape != candidate.shape or reference.size == 0:
        raise ValueError(f"cannot compare shapes {reference.shape} and {candidate.shape}")
    parts, extremes = [], Extremes(max_abs_error=0.0, non_finite=0)
    for pair in pairs(reference, candidate):
        found = element_statistics(pair)
        if logits:
            known = None if labels is None else labels[pair.rows]
            found |= classifier_statistics(pair.reference, pair.candidate, answered(pair.finite), known)
        parts.append(found)
        extremes |= Extremes.of(pair)
    return collect(extremes, points(joined(parts), len(reference)))


def answered(finite: Bools) -> Bools:
    """Return which samples have an answer: with a value that is not a number there is none, it agrees with nothing."""
    rows: Bools = np.all(finite.reshape(len(finite), -1), axis=1)
    return rows


def collect(extremes: Extremes, values: Mapping[str, float]) -> Metrics:
    """Return the metrics of one output.

    Args:
        extremes: What single elements say.
        values: The statistics by name; those that are no field (ratios, drops) are left out.
    """
    fields = {name: number for name, number in values.items() if name in Metrics.model_fields}
    ratio = values.get("sqnr_db", np.inf)
    fields["sqnr_db"] = ratio if np.isfinite(ratio) else None  # type: ignore[assignment]
    return Metrics.model_validate(
        {**fields, "max_abs_error": extremes.max_abs_error, "non_finite": extremes.non_finite}, strict=True
    )


def is_counted(values: Rows, meaning: Meaning = "tensor") -> bool:
    """Whether values are integers or truth values: an index that is off by one is as wrong as any other.

    Those of a regression are amounts, of light say, in steps.
    """
    return values.dtype.kind in "iub" and meaning != "regression"


def element_statistics(pair: Pair, meaning: Meaning = "tensor") -> dict[str, Statistic]:
    """Return the metrics that every output has, by its meaning and the type of the reference's values."""
    found = _tensor_statistics(pair)
    if not is_counted(pair.given, meaning):
        return found
    equal = (pair.reference == pair.candidate).reshape(len(pair.reference), -1).mean(axis=1)
    return {**{name: value for name, value in found.items() if name != "sqnr_db"}, "agreement": mean_of(equal)}


def _tensor_statistics(pair: Pair) -> dict[str, Statistic]:
    """Return the metrics of an output of floats."""
    a, b, error = _flat(pair.reference), _flat(pair.candidate), _flat(pair.error)
    return {
        "sqnr_db": OfMeans(columns=_energies(a, error), value=decibel),
        "mean_abs_error": mean_of(np.abs(error).mean(axis=1)),
        "cosine": mean_of(_cosines(a, b)),
    }


def classifier_statistics(
    reference: Doubles, candidate: Doubles, answered: Bools, labels: npt.NDArray[np.int64] | None
) -> dict[str, Statistic]:
    """Return the metrics of logits of shape (samples, classes); none for any other shape.

    Args:
        reference: The reference's logits.
        candidate: The candidate's.
        answered: Which samples the candidate has an answer for.
        labels: True classes of shape (samples,), if known.
    """
    if reference.ndim != 2 or reference.shape[1] < 2:
        return {}
    found: dict[str, Statistic] = {
        "top1_agreement": mean_of(_shared_top(reference, candidate, 1) * answered),
        "top5_agreement": mean_of(_shared_top(reference, candidate, min(5, reference.shape[1])) * answered),
        "kl_divergence": mean_of(_divergences(reference, candidate)),
    }
    if labels is not None:
        found["accuracy"] = mean_of((candidate.argmax(axis=1) == labels) & answered)
        found["reference_accuracy"] = mean_of(reference.argmax(axis=1) == labels)
        found |= against_reference("accuracy")
    return found


def against_reference(name: str) -> dict[str, Statistic]:
    """Return the loss and the share of a metric, larger being better, against the reference's."""
    both = (name, f"reference_{name}")
    return {
        f"{name}_drop": Derived(of=both, value=lambda value, reference: reference - value),
        f"{name}_ratio": Derived(of=both, value=share),
    }


def share(value: Doubles, reference: Doubles) -> Doubles:
    """Return ``value / reference``; below a reference that is negative (an R2 may be) one minus the relative loss.

    A reference of zero cannot be kept a share of: the share is then 1.
    """
    size = np.abs(reference)
    return 1 - np.divide(reference - value, size, out=np.zeros_like(size), where=size > 0)


def sqnr_db(reference: Rows, candidate: Rows) -> float | None:
    """Return 10 log10(sum r^2 / sum (r - c)^2) in dB, or None if the noise is zero.

    A reference of all zeros has no signal: the ratio is then taken against the least float32, so that it stays finite
    and very low. The candidate may hold what is not finite: the ratio does then, too.
    """
    energies = [
        _energies(
            _flat(theirs := reference[rows].astype(np.float64)), _flat(theirs - candidate[rows].astype(np.float64))
        )
        for rows in cuts(len(reference), at_once(reference.shape))
    ]
    statistic = OfMeans(columns=np.concatenate(energies), value=decibel)
    ratio = points({"sqnr_db": statistic}, len(reference))["sqnr_db"]
    return ratio if np.isfinite(ratio) else None


def cosine(reference: Doubles, candidate: Doubles) -> float:
    """Return the mean over samples of the cosine of the angle between the two; two zero vectors have cosine 1."""
    return float(_cosines(reference.reshape(len(reference), -1), candidate.reshape(len(candidate), -1)).mean())


def kl_divergence(reference: Doubles, candidate: Doubles) -> float:
    """Return mean KL(softmax(reference) || softmax(candidate)) in nats; never below zero."""
    return float(_divergences(reference, candidate).mean())


def _flat(values: Doubles) -> Doubles:
    return values.reshape(len(values), -1)


def _energies(reference: Doubles, error: Doubles) -> Doubles:
    """Return signal and noise of each sample."""
    energies: Doubles = np.stack([np.square(one).sum(axis=1) for one in (reference, error)], axis=1)
    return energies


def decibel(energies: Doubles) -> Doubles:
    """Return the ratio of signal to noise in dB, of shape (n,), of energies of shape (n, 2); infinite without noise."""
    signal = np.maximum(energies[:, 0], np.finfo(np.float32).tiny)
    noise = energies[:, 1]
    ratio = np.divide(signal, noise, out=np.full_like(signal, np.inf), where=noise > 0)
    found: Doubles = 10 * np.log10(ratio)
    return found


def _cosines(a: Doubles, b: Doubles) -> Doubles:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same = (a == b).all(axis=1)
    ratio = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 0)
    return np.where(same, 1.0, ratio)


def _shared_top(reference: Doubles, candidate: Doubles, k: int) -> Doubles:
    """Return, per sample, the share of the reference's ``k`` likeliest classes among the candidate's.

    Ties go to the lower class number on both sides.
    """
    ours = np.argsort(-candidate, axis=1, kind="stable")[:, :k]
    theirs = np.argsort(-reference, axis=1, kind="stable")[:, :k]
    shared: Doubles = (ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean(axis=1)
    return shared


def _divergences(reference: Doubles, candidate: Doubles) -> Doubles:
    p, q = _log_softmax(reference), _log_softmax(candidate)
    divergences: Doubles = np.maximum(0.0, (np.exp(p) * (p - q)).sum(axis=1))
    return divergences


def _log_softmax(logits: Doubles) -> Doubles:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Doubles = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result

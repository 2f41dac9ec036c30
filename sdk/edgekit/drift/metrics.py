"""The drift metrics. Each is one pure function of two arrays; arithmetic is float64."""

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.spec import Spec

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]


class Metrics(Spec):
    """Differences of one output from its reference."""

    sqnr_db: float | None
    """Signal to quantization noise ratio in dB; null when the two are identical, for then it is infinite."""
    max_abs_error: float
    """Largest absolute error of any element."""
    mean_abs_error: float
    """Mean absolute error."""
    cosine: float
    """Cosine similarity, per sample, averaged."""
    non_finite: int
    """Elements that are NaN or infinite in the candidate; they are left out of the other numbers."""
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


def measure(reference: Array, candidate: Array, *, logits: bool, labels: npt.NDArray[np.int64] | None) -> Metrics:
    """Measure the difference of ``candidate`` from ``reference``, both of shape (samples, ...).

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
    truth = reference.astype(np.float64)
    finite = np.isfinite(candidate)
    value = np.where(finite, candidate.astype(np.float64), truth)
    classifier: dict[str, float] = {}
    if logits and truth.ndim == 2 and truth.shape[1] > 1:
        # A sample with a value that is not a number has no answer: it agrees with nothing.
        answered: npt.NDArray[np.bool_] = np.all(finite, axis=1)
        classifier["top1_agreement"] = top_agreement(truth, value, answered, 1)
        classifier["top5_agreement"] = top_agreement(truth, value, answered, min(5, truth.shape[1]))
        classifier["kl_divergence"] = kl_divergence(truth, value)
        if labels is not None:
            classifier["accuracy"] = float(((value.argmax(1) == labels) & answered).mean())
            classifier["reference_accuracy"] = float((truth.argmax(1) == labels).mean())
    return Metrics(
        sqnr_db=sqnr_db(truth, value),
        max_abs_error=float(np.abs(truth - value).max()),
        mean_abs_error=float(np.abs(truth - value).mean()),
        cosine=cosine(truth, value),
        non_finite=int((~finite).sum()),
        **classifier,
    )


def sqnr_db(reference: Doubles, candidate: Doubles) -> float | None:
    """Return 10 log10(sum r^2 / sum (r - c)^2) in dB, or None if the noise is zero.

    A reference of all zeros has no signal: the ratio is then taken against one unit of energy a element's float32
    resolution, so that it stays finite and very low.
    """
    noise = float(np.square(reference - candidate).sum())
    if noise == 0:
        return None
    signal = max(float(np.square(reference).sum()), float(np.finfo(np.float32).tiny))
    return 10 * float(np.log10(signal / noise))


def cosine(reference: Doubles, candidate: Doubles) -> float:
    """Return the mean over samples of the cosine of the angle between the two; two zero vectors have cosine 1."""
    a = reference.reshape(len(reference), -1)
    b = candidate.reshape(len(candidate), -1)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same = (a == b).all(axis=1)
    ratio = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 0)
    return float(np.where(same, 1.0, ratio).mean())


def top_agreement(reference: Doubles, candidate: Doubles, answered: npt.NDArray[np.bool_], k: int) -> float:
    """Return the mean share of the reference's ``k`` likeliest classes among the candidate's ``k`` likeliest.

    Ties go to the lower class number on both sides.
    """
    ours = np.argsort(-candidate, axis=1, kind="stable")[:, :k]
    theirs = np.argsort(-reference, axis=1, kind="stable")[:, :k]
    shared = (ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean(axis=1)
    return float((shared * answered).mean())


def kl_divergence(reference: Doubles, candidate: Doubles) -> float:
    """Return mean KL(softmax(reference) || softmax(candidate)) in nats; never below zero."""
    p, q = _log_softmax(reference), _log_softmax(candidate)
    return max(0.0, float((np.exp(p) * (p - q)).sum(axis=1).mean()))


def _log_softmax(logits: Doubles) -> Doubles:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Doubles = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result

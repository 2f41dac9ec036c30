"""The drift metrics of segmentation, embeddings and regression."""

import numpy as np
import numpy.typing as npt

from edgekit.data.rows import Rows, at_once, cuts
from edgekit.data.truth import UNLABELLED
from edgekit.drift.metrics import against_reference
from edgekit.drift.pairs import Bools, comparable
from edgekit.drift.statistics import Array, Derived, Doubles, OfMeans, Statistic, mean_of

Integers = npt.NDArray[np.int64]
NEIGHBOURS = 10
# Samples whose distances to so many others are held at once: 4 MB, and as many that are sorted.
_ROWS, _OTHERS = 512, 1024


def segmentation_statistics(
    reference: Doubles, candidate: Doubles, finite: Bools, truth: Integers | None
) -> dict[str, Statistic]:
    """Return the metrics of class scores of shape (samples, classes, height, width).

    Args:
        reference: The reference's scores.
        candidate: The candidate's.
        finite: Which of the candidate's elements are numbers; a pixel with one that is not has no class.
        truth: True classes of shape (samples, height, width), if known; negative ones and, where there are no more
            than 255 classes, 255 are not counted.
    """
    classes = reference.shape[1]
    theirs = reference.argmax(axis=1)
    ours = np.where(finite.all(axis=1), candidate.argmax(axis=1), classes)
    found: dict[str, Statistic] = {
        "pixel_agreement": mean_of((ours == theirs).reshape(len(ours), -1).mean(axis=1)),
        "iou_agreement": mean_iou(theirs, ours, classes),
    }
    if truth is not None:
        known = np.where(ignored(truth, classes), -1, truth)
        found["mean_iou"] = mean_iou(known, ours, classes)
        found["reference_mean_iou"] = mean_iou(known, theirs, classes)
        found |= against_reference("mean_iou")
    return found


def ignored(truth: Array, classes: int) -> Bools:
    """Return which pixels nobody labelled."""
    unlabelled: Bools = (truth < 0) | ((truth == UNLABELLED) & (classes <= UNLABELLED))
    return unlabelled


def mean_iou(truth: Integers, predicted: Integers, classes: int) -> OfMeans:
    """Return the mean over classes of intersection over union, both summed over all pixels of all samples.

    Classes that occur on neither side do not count (Everingham et al., The PASCAL VOC Challenge, 2010).

    Args:
        truth: True classes; negative: not counted.
        predicted: Predicted classes; the number of classes itself stands for none of them.
        classes: Number of classes.
    """
    size = classes + 1
    tables = np.stack(
        [
            np.bincount((a * size + b)[a >= 0], minlength=size * size).reshape(size, size)
            for a, b in zip(truth.reshape(len(truth), -1), predicted.reshape(len(predicted), -1), strict=True)
        ]
    ).astype(np.float64)
    both = tables.diagonal(axis1=1, axis2=2)[:, :classes]
    either = (tables.sum(axis=1) + tables.sum(axis=2))[:, :classes] - both

    def value(means: Doubles) -> Doubles:
        inside, outside = means[:, :classes], means[:, classes:]
        there = outside > 0
        ratios = np.divide(inside, outside, out=np.zeros_like(inside), where=there)
        count = there.sum(axis=1)
        mean: Doubles = np.divide(ratios.sum(axis=1), count, out=np.full(len(means), np.nan), where=count > 0)
        return mean

    return OfMeans(columns=np.concatenate([both, either], axis=1), value=value)


def embedding_statistics(reference: Rows, candidate: Rows) -> dict[str, Statistic]:
    """Return the overlap of nearest neighbours, by cosine, among all samples.

    Neighbours are looked for among the samples as they are; draws only choose whose overlap counts.

    Args:
        reference: The reference's embeddings, of shape (samples, ...).
        candidate: The candidate's; a sample with values that are not finite has no neighbours.
    """
    count, shared = len(reference), []
    for rows in cuts(count, _ROWS):
        ours, theirs = _neighbours(reference, candidate, rows), _neighbours(reference, reference, rows)
        same = (ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean(axis=1)
        shared.append(same * np.isfinite(candidate[rows].reshape(len(same), -1)).all(axis=1))
    return {"neighbour_agreement": mean_of(np.concatenate(shared))}


def _neighbours(reference: Rows, values: Rows, rows: slice) -> Integers:
    """Return the numbers of the nearest others of some samples, nearest first, of shape (rows, at most 10)."""
    count, own = len(values), _unit(reference, values, rows)
    k = min(NEIGHBOURS, count - 1)
    near, numbers = np.empty((len(own), 0)), np.empty((len(own), 0), dtype=np.int64)
    for others in cuts(count, max(_OTHERS, at_once(values.shape))):
        part = own @ _unit(reference, values, others).T
        itself = np.arange(rows.start, rows.stop)
        inside = (itself >= others.start) & (itself < others.stop)
        part[inside, itself[inside] - others.start] = -np.inf  # not its own neighbour
        near = np.concatenate([near, part], axis=1)
        numbers = np.concatenate([numbers, np.broadcast_to(np.arange(others.start, others.stop), part.shape)], axis=1)
        best = np.argsort(-near, axis=1, kind="stable")[:, :k]  # of two that are as near, the first
        near, numbers = np.take_along_axis(near, best, axis=1), np.take_along_axis(numbers, best, axis=1)
    return numbers


def _unit(reference: Rows, values: Rows, rows: slice) -> Doubles:
    """Return some samples, scaled to length one."""
    _, found, _ = comparable(reference[rows], values[rows])
    flat = found.reshape(len(found), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: Doubles = np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)
    return unit


def regression_statistics(
    reference: Doubles, candidate: Doubles, truth: Doubles | None, mean: Doubles, mean_truth: Doubles | None
) -> dict[str, Statistic]:
    """Return R2 and mean absolute errors.

    Args:
        reference: What should have been computed.
        candidate: What was computed.
        truth: The true values, if known, of the shape of the others.
        mean: The mean of the reference over all samples, of which these may be some.
        mean_truth: That of the true values.
    """
    found: dict[str, Statistic] = {"r2_agreement": r2(reference, candidate, mean)}
    if truth is not None and mean_truth is not None:
        found["r2"], found["reference_r2"] = r2(truth, candidate, mean_truth), r2(truth, reference, mean_truth)
        found |= against_reference("r2")
        for name, values in (("mae", candidate), ("reference_mae", reference)):
            found[name] = mean_of(np.abs(truth - values).reshape(len(truth), -1).mean(axis=1))
        found["mae_ratio"] = Derived(of=("mae", "reference_mae"), value=_multiple)
    return found


def r2(truth: Doubles, predicted: Doubles, mean: Doubles) -> OfMeans:
    """Return 1 - sum (t - p)^2 / sum (t - mean t)^2 over all elements, each about its own mean over the samples.

    Equals scikit-learn's ``r2_score(multioutput="variance_weighted")``. Draws keep the means of the whole set. True
    values that do not vary have no R2: it is then 1 for predictions without an error, else 0.
    """
    t, p = truth.reshape(len(truth), -1), predicted.reshape(len(predicted), -1)
    spread = np.square(t - mean.reshape(-1)).sum(axis=1)
    columns: Doubles = np.stack([np.square(t - p).sum(axis=1), spread], axis=1)

    def value(means: Doubles) -> Doubles:
        error, total = means[:, 0], means[:, 1]
        ratio = np.divide(error, total, out=(error > 0).astype(np.float64), where=total > 0)
        return 1 - ratio

    return OfMeans(columns=columns, value=value)


def _multiple(value: Doubles, reference: Doubles) -> Doubles:
    """Return ``value / reference``; a reference without an error is taken for the least float32."""
    least = float(np.finfo(np.float32).tiny)
    return np.where(value == reference, 1.0, value / np.maximum(reference, least))

"""The drift metrics of detected boxes: mean average precision as COCO defines it.

Which detection finds which true box is pycocotools' work, picture by picture. Adding pictures up is done here, because
a bootstrap weights pictures and pycocotools cannot; with each picture once the result is the library's own.

By convention a detector has three outputs: boxes (samples, k, 4) as x1, y1, x2, y2; scores (samples, k); and classes
(samples, k), behind non-maximum suppression. A score of zero or less marks a place that is not used. True boxes and
classes have the same form without scores; a class below zero marks a place that is not used.
"""

import contextlib
import importlib.util
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.rows import Rows, cuts
from edgekit.drift.metrics import against_reference
from edgekit.drift.pairs import Bools
from edgekit.drift.statistics import Array, Counts, Doubles, OfCounts, Statistic
from edgekit.errors import ToolchainError

# A detection of the reference counts as a true box from this score on.
CONFIDENT = 0.5
_MOST = 100
_RECALLS = np.linspace(0, 1, 101)
# Pictures whose detections are matched at once: the library takes each box as a dictionary.
_PICTURES = 256


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Boxes with classes and scores, padded; see the module for the convention."""

    boxes: Rows
    scores: Rows
    classes: Rows

    def parts(self) -> "Iterator[Part]":
        """Yield the detections of some pictures at a time."""
        for rows in cuts(len(self.boxes), _PICTURES):
            yield Part(boxes=self.boxes[rows], scores=self.scores[rows], classes=self.classes[rows])


@dataclass(frozen=True, kw_only=True)
class Part:
    """The detections of some pictures, read."""

    boxes: Array
    scores: Array
    classes: Array

    def confident(self) -> "Part":
        """Return those that are sure enough to count as true boxes."""
        scores = np.where(self.scores >= CONFIDENT, self.scores, 0)
        return Part(boxes=self.boxes, scores=scores, classes=self.classes)

    @property
    def used(self) -> Bools:
        """Which places hold a detection: all of its numbers are finite and its score is positive."""
        finite = np.isfinite(self.boxes).all(axis=2) & np.isfinite(self.scores) & np.isfinite(self.classes)
        return finite & (self.scores > 0) & (self.classes >= 0)


@dataclass(frozen=True, kw_only=True)
class _Matches:
    """All detections of one class, best first."""

    pictures: npt.NDArray[np.int64]
    """The picture of each detection."""
    found: Bools
    """Whether it finds a true box: of shape (IoU thresholds, detections)."""
    boxes: npt.NDArray[np.int64]
    """True boxes in each picture."""


def require() -> None:
    """Make sure that the library is there.

    Raises:
        ToolchainError: If it is not installed.
    """
    if importlib.util.find_spec("pycocotools") is None:
        raise ToolchainError(
            "Outputs that mean boxes are measured with pycocotools, which is not installed.",
            hint='pip install "edgekit[detection]"',
        )


def detection_statistics(
    reference: Detections, candidate: Detections, truth: Detections | None
) -> dict[str, Statistic]:
    """Return the metrics of a detector.

    Args:
        reference: The reference's detections.
        candidate: The candidate's.
        truth: True boxes, each with the score 1, if known.

    Raises:
        ToolchainError: If pycocotools is not installed.
    """
    require()
    found: dict[str, Statistic] = {}
    if any(part.confident().used.any() for part in reference.parts()):
        found["map_agreement"] = mean_average_precision(reference, candidate, confident=True)
    if truth is not None:
        found["mean_ap"] = mean_average_precision(truth, candidate)
        found["reference_mean_ap"] = mean_average_precision(truth, reference)
        found |= against_reference("mean_ap")
    return found


def mean_average_precision(truth: Detections, detected: Detections, *, confident: bool = False) -> OfCounts:
    """Return the mean over classes and ten IoU thresholds of the average precision at 101 recalls.

    At most 100 detections a picture count. Lin et al., Microsoft COCO: Common Objects in Context, 2014, and its
    evaluation code; classes without a true box do not count.

    Args:
        truth: The true boxes.
        detected: The detections.
        confident: Whether of the true boxes only those count that are sure enough.
    """
    matches = _match(truth, detected, confident=confident)

    def value(counts: Counts) -> float:
        precisions = [_average_precision(one, counts) for one in matches if (one.boxes * counts).sum() > 0]
        return float(np.mean(precisions)) if precisions else float("nan")

    return OfCounts(value=value)


def _average_precision(matches: _Matches, counts: Counts) -> float:
    """Return the average precision of one class, averaged over the thresholds; pictures count as often as drawn."""
    weights = counts[matches.pictures]
    right = np.cumsum(matches.found * weights, axis=1)
    wrong = np.cumsum(~matches.found * weights, axis=1)
    recall = right / (matches.boxes * counts).sum()
    total = right + wrong
    precision = np.divide(right, total, out=np.zeros(total.shape), where=total > 0)
    # From the right: the best precision at this recall or a higher one.
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    values = np.zeros((len(recall), len(_RECALLS)))
    for row, (steps, heights) in enumerate(zip(recall, best, strict=True)):
        places = np.searchsorted(steps, _RECALLS, side="left")
        inside = places < len(steps)
        values[row, inside] = heights[places[inside]]
    return float(values.mean())


def _match(truth: Detections, detected: Detections, *, confident: bool) -> list[_Matches]:
    def true_boxes() -> Iterator[Part]:
        return (part.confident() if confident else part for part in truth.parts())

    classes = sorted({number for part in true_boxes() for number in np.rint(part.classes[part.used]).astype(int)})
    numbers = [int(number) for number in classes]
    rows: list[list[_Picture | None]] = [[] for _ in numbers]
    for one, other in zip(true_boxes(), detected.parts(), strict=True):
        for row, more in zip(rows, _matched(one, other, numbers), strict=True):
            row += more
    return [_joined(row) for row in rows]


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """The detections of one class in one picture."""

    boxes: int
    scores: Doubles
    found: Bools


def _matched(truth: Part, detected: Part, classes: list[int]) -> Iterator[list[_Picture | None]]:
    """Yield for each class what became of the detections in some pictures; None: neither side has any there."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    samples = len(truth.boxes)
    pictures, categories = list(range(samples)), [{"id": number} for number in classes]
    sides: list[Any] = []
    with contextlib.redirect_stdout(io.StringIO()):  # the library tells its stages
        for detections in (truth, detected):
            side = COCO()
            side.dataset = {
                "images": [{"id": number} for number in pictures],
                "categories": categories,
                "annotations": _annotations(detections, classes),
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[float("-inf"), float("inf")]], ["all"]
        evaluation.params.maxDets = [_MOST]
        evaluation.params.imgIds, evaluation.params.catIds = pictures, classes
        evaluation.evaluate()
    thresholds = len(evaluation.params.iouThrs)
    for place in range(len(classes)):
        yield [
            None
            if one is None
            else _Picture(
                boxes=len(one["gtIds"]),
                scores=np.asarray(one["dtScores"], dtype=np.float64),
                found=np.asarray(one["dtMatches"]).reshape(thresholds, -1) > 0,
            )
            for one in evaluation.evalImgs[place * samples : (place + 1) * samples]
        ]


def _annotations(detections: Part, classes: list[int]) -> list[dict[str, Any]]:
    numbers = np.rint(np.where(detections.used, detections.classes, -1)).astype(int)
    known = detections.used & np.isin(numbers, classes)
    found = []
    for number, (picture, place) in enumerate(np.argwhere(known).tolist(), start=1):
        left, top, right, bottom = detections.boxes[picture, place].astype(float).tolist()
        found.append(
            {
                "id": number,
                "image_id": picture,
                "category_id": int(numbers[picture, place]),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "score": float(detections.scores[picture, place]),
                "iscrowd": 0,
            }
        )
    return found


def _joined(pictures: Sequence[_Picture | None]) -> _Matches:
    """Put the pictures of one class together, best detection first; equal scores keep the order of the pictures."""
    there = [(number, one) for number, one in enumerate(pictures) if one is not None]
    boxes = np.zeros(len(pictures), dtype=np.int64)
    for number, one in there:
        boxes[number] = one.boxes
    scores: Doubles = np.concatenate([one.scores for _, one in there])
    owners = np.concatenate([np.full(len(one.scores), number, dtype=np.int64) for number, one in there])
    found = np.concatenate([one.found for _, one in there], axis=1)
    order = np.argsort(-scores, kind="stable")
    return _Matches(pictures=owners[order], found=found[:, order], boxes=boxes)

"""What answers mean: how often two networks decide alike."""

import numpy as np
import numpy.typing as npt

from bench.zoo.data import Array
from bench.zoo.entry import Task

Boxes = npt.NDArray[np.float64]
_IOU, _KEPT, _CANDIDATES = 0.5, 20, 200
_FRAME = 0.5


def agreement(task: Task, reference: list[Array], candidate: list[Array]) -> float | None:
    """Return how far two sets of answers agree, from 0 to 1; None where answers are only numbers.

    Args:
        task: What the answers are.
        reference: Outputs with the sample axis first; ``boxes`` wants (samples, 4, places) as centre and size, and
            scores (samples, classes, places).
        candidate: The same of the other network.
    """
    one, other = reference[0], candidate[0]
    match task:
        case "top-1":
            first = one.reshape(len(one), -1).argmax(1) == other.reshape(len(other), -1).argmax(1)
            return float(first.mean())
        case "pixels":
            return float((one.argmax(1) == other.argmax(1)).mean())
        case "steps":
            return float((one.argmax(-1) == other.argmax(-1)).mean())
        case "frames":
            decided, beside = (x.astype(np.float64) > _FRAME for x in (one, other))
            return float((decided == beside).mean())
        case "cosine":
            flat, near = (x.reshape(len(x), -1).astype(np.float64) for x in (one, other))
            lengths = np.linalg.norm(flat, axis=1) * np.linalg.norm(near, axis=1)
            return float(((flat * near).sum(1) / np.maximum(lengths, 1e-300)).mean())
        case "boxes":
            shares = [_same(*row) for row in zip(reference[0], reference[1], candidate[0], candidate[1], strict=True)]
            return float(np.mean(shares))
        case "values":
            return None


def _same(boxes: Array, scores: Array, other_boxes: Array, other_scores: Array) -> float:
    """Return twice the boxes that have a partner of their class, as a share of all boxes."""
    ours, theirs = _suppressed(boxes, scores), _suppressed(other_boxes, other_scores)
    free = list(range(len(theirs[0])))
    matched = 0
    for box, kind in zip(*ours, strict=True):
        near = [number for number in free if theirs[1][number] == kind]
        if near:
            overlaps = _overlap(box, theirs[0][near])
            if overlaps.max() >= _IOU:
                free.remove(near[int(overlaps.argmax())])
                matched += 1
    return 2 * matched / max(len(ours[0]) + len(theirs[0]), 1)


def _suppressed(boxes: Array, scores: Array) -> tuple[Boxes, npt.NDArray[np.intp]]:
    """Return the best boxes as corners, with their classes, those that overlap a better one of their class left out."""
    kinds, best = scores.argmax(0), scores.max(0)
    order = np.argsort(-best, kind="stable")[:_CANDIDATES]
    centre, size = boxes[:2, order].T.astype(np.float64), boxes[2:, order].T.astype(np.float64)
    corners, kinds = np.concatenate([centre - size / 2, centre + size / 2], 1), kinds[order]
    kept: list[int] = []
    for number in range(len(order)):
        same = [one for one in kept if kinds[one] == kinds[number]]
        if not same or _overlap(corners[number], corners[same]).max() < _IOU:
            kept.append(number)
        if len(kept) == _KEPT:
            break
    return corners[kept], kinds[kept]


def _overlap(box: Boxes, others: Boxes) -> Boxes:
    inner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(inner, 0), 1)
    areas = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], 1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-300), np.float64)

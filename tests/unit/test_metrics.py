"""The metrics of the tasks, against hand-computed vectors and against the libraries that people compare with."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score, mean_absolute_error, r2_score

from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift.compare import leg_of
from edgekit.drift.dense import embedding_statistics, mean_iou, regression_statistics, segmentation_statistics
from edgekit.drift.detection import Detections, detection_statistics, mean_average_precision
from edgekit.drift.metrics import classifier_statistics, measure, share
from edgekit.drift.statistics import Statistic, draws, points
from edgekit.spec import DEFAULT_BUDGET, TensorSpec


def value(statistic: Statistic, samples: int) -> float:
    """Return one metric over all samples."""
    return points({"it": statistic}, samples)["it"]


def finite(shape: tuple[int, ...]) -> np.ndarray:
    """Say that every element is a number."""
    return np.ones(shape, dtype=bool)


def one_hot(classes: list[Any], count: int) -> np.ndarray:
    """Return scores of shape (samples, count, height, width) whose best classes are given."""
    return np.moveaxis(np.eye(count)[np.array(classes)], -1, 1)


def test_accuracy_is_scikit_learns() -> None:
    """And so are loss and share, from the two accuracies."""
    generator = np.random.default_rng(0)
    reference, candidate = generator.normal(size=(2, 200, 5))
    labels = generator.integers(5, size=200)
    found = points(classifier_statistics(reference, candidate, finite((200,)), labels), 200)
    ours, theirs = accuracy_score(labels, candidate.argmax(1)), accuracy_score(labels, reference.argmax(1))
    assert found["accuracy"] == pytest.approx(ours)
    assert found["accuracy_drop"] == pytest.approx(theirs - ours)
    assert found["accuracy_ratio"] == pytest.approx(ours / theirs)


def test_mean_iou_by_hand() -> None:
    """Four pixels, one wrong: class 0 has 1 of 2, class 1 has 2 of 3; class 2 occurs nowhere and does not count."""
    truth, predicted = np.array([[[0, 0], [1, 1]]]), np.array([[[0, 1], [1, 1]]])
    assert value(mean_iou(truth, predicted, 3), 1) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert value(mean_iou(truth, truth, 3), 1) == 1


def test_mean_iou_is_scikit_learns() -> None:
    """Over all pixels of all samples together, as macro-averaged Jaccard."""
    truth, predicted = np.random.default_rng(0).integers(4, size=(2, 7, 5, 6))
    expected = jaccard_score(truth.ravel(), predicted.ravel(), average="macro")
    assert value(mean_iou(truth, predicted, 4), 7) == pytest.approx(expected)


def test_segmentation() -> None:
    """One of eight pixels flips; a pixel that nobody labelled does not count against the truth."""
    theirs = one_hot([[[0, 0], [1, 1]], [[1, 1], [0, 0]]], 2)
    ours = one_hot([[[0, 1], [1, 1]], [[1, 1], [0, 0]]], 2)
    truth = np.array([[[0, 255], [1, 1]], [[1, 1], [0, -1]]])
    found = points(segmentation_statistics(theirs, ours, finite(ours.shape), truth), 2)
    assert found["pixel_agreement"] == pytest.approx(7 / 8)
    assert found["iou_agreement"] == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert found["mean_iou"] == found["reference_mean_iou"] == found["mean_iou_ratio"] == 1
    strict = points(segmentation_statistics(theirs, ours, finite(ours.shape), np.where(truth == 255, 0, truth)), 2)
    assert strict["mean_iou"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert strict["mean_iou_drop"] == pytest.approx(1 - strict["mean_iou"])


def test_a_pixel_that_is_not_a_number_has_no_class() -> None:
    """It agrees with nothing, although its value was replaced by the reference's."""
    theirs = one_hot([[[0, 0], [1, 1]]], 2)
    numbers = finite(theirs.shape)
    numbers[0, 1, 0, 0] = False
    found = points(segmentation_statistics(theirs, theirs, numbers, None), 1)
    assert found["pixel_agreement"] == pytest.approx(3 / 4)
    assert found["iou_agreement"] == pytest.approx((1 / 2 + 1) / 2)


def test_neighbours() -> None:
    """Turned together nothing changes; one sample that moves to other neighbours shows; so does a sample of NaN."""
    generator = np.random.default_rng(0)
    near = np.concatenate([generator.normal(size=(11, 8)) * 0.1 + 1, generator.normal(size=(11, 8)) * 0.1 - 1])
    turned = near @ np.linalg.qr(generator.normal(size=(8, 8)))[0]
    assert points(embedding_statistics(near, turned), 22)["neighbour_agreement"] == 1
    moved = near.copy()
    moved[0] *= -1
    found = points(embedding_statistics(near, moved), 22)["neighbour_agreement"]
    # The sample itself loses all ten; its ten neighbours lose it, and the eleven others have it in place of another.
    assert found == pytest.approx((0 + 10 * 0.9 + 11 * 0.9) / 22)
    broken = near.copy()
    broken[3, 3] = np.nan
    assert points(embedding_statistics(near, broken), 22)["neighbour_agreement"] == pytest.approx(21 / 22)


def regression(theirs: np.ndarray, ours: np.ndarray, truth: np.ndarray | None) -> dict[str, Statistic]:
    """Return what is measured of a whole set."""
    return regression_statistics(theirs, ours, truth, theirs.mean(0), None if truth is None else truth.mean(0))


def test_regression_is_scikit_learns() -> None:
    """R2 weighted by variance, and mean absolute errors."""
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(50, 3)) * [1, 2, 30]
    theirs, ours = truth + generator.normal(size=(50, 3)), truth + generator.normal(size=(50, 3)) * 2
    found = points(regression(theirs, ours, truth), 50)
    assert found["r2"] == pytest.approx(r2_score(truth, ours, multioutput="variance_weighted"))
    assert found["r2_agreement"] == pytest.approx(r2_score(theirs, ours, multioutput="variance_weighted"))
    assert found["reference_mae"] == pytest.approx(mean_absolute_error(truth, theirs))
    assert found["mae_ratio"] == pytest.approx(found["mae"] / found["reference_mae"])
    assert found["r2_drop"] > 0


def test_regression_by_hand() -> None:
    """Truth 1, 2, 3 and 2, 2, 2 predicted: no better than the mean. What does not vary has R2 1 or 0."""
    truth = np.array([[1.0], [2.0], [3.0]])
    found = points(regression(truth, np.full((3, 1), 2.0), truth), 3)
    assert (found["r2"], found["reference_r2"]) == (0, 1)
    assert found["mae"] == pytest.approx(2 / 3)
    assert found["reference_mae"] == 0
    assert found["mae_ratio"] > 1e30
    flat = np.ones((3, 1))
    assert points(regression(flat, flat, None), 3)["r2_agreement"] == 1
    assert points(regression(flat, truth, None), 3)["r2_agreement"] == 0


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(0.9, 1.0, 0.9), (0.5, 0.0, 1.0), (-1.0, -1.0, 1.0), (-1.1, -1.0, 0.9), (1.2, 1.0, 1.2)],
)
def test_a_share_has_the_sign_of_the_change(now: float, before: float, expected: float) -> None:
    """Less is below one also where the reference is negative, as an R2 may be."""
    assert share(np.array([now]), np.array([before]))[0] == pytest.approx(expected)


def detections(seed: int, *, samples: int = 12, places: int = 6, classes: int = 3, shift: float = 0.0) -> Detections:
    """Return random boxes; the same seed gives the same boxes, shifted in pixels."""
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 80, size=(samples, places, 2))
    sizes = generator.uniform(10, 40, size=(samples, places, 2))
    moved = corners + generator.normal(size=corners.shape) * shift
    numbers = generator.integers(classes, size=(samples, places))
    numbers[generator.random(numbers.shape) < 0.2] = -1
    return Detections(
        boxes=np.concatenate([moved, moved + sizes], axis=2),
        scores=generator.uniform(0.05, 1, size=numbers.shape),
        classes=numbers,
    )


def coco(truth: Detections, found: Detections, pictures: list[int]) -> float:
    """Return what pycocotools itself makes of some pictures; one that is named twice is there twice."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    sides = []
    with contextlib.redirect_stdout(io.StringIO()):
        for side in (*truth.parts(), *found.parts()):
            annotations = [
                {"id": 1, "image_id": place, "category_id": int(side.classes[number, k]), "iscrowd": 0,
                 "score": float(side.scores[number, k]), "area": 1.0,
                 "bbox": [*side.boxes[number, k, :2], *(side.boxes[number, k, 2:] - side.boxes[number, k, :2])]}
                for place, number in enumerate(pictures)
                for k in range(side.classes.shape[1])
                if side.used[number, k]
            ]  # fmt: skip
            one = COCO()
            one.dataset = {
                "images": [{"id": place} for place in range(len(pictures))],
                "categories": [{"id": number} for number in range(3)],
                "annotations": [{**annotation, "id": number} for number, annotation in enumerate(annotations, 1)],
            }
            one.createIndex()
            sides.append(one)
        evaluation = COCOeval(*sides, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def test_mean_average_precision_is_the_librarys() -> None:
    """With every picture once it is pycocotools' number; and for pictures that are drawn several times, too."""
    truth, found = detections(0), detections(0, shift=3.0)
    statistic = mean_average_precision(truth, found)
    assert 0.2 < value(statistic, 12) < 0.9
    assert value(statistic, 12) == pytest.approx(coco(truth, found, list(range(12))), abs=1e-9)
    for counts in next(draws(12, 5)):
        pictures = np.repeat(np.arange(12), counts).tolist()
        assert statistic.value(counts) == pytest.approx(coco(truth, found, pictures), abs=0.02)


def test_detections_by_hand() -> None:
    """One class, two true boxes: one is found first, a wrong one second, the other not at all."""
    boxes = np.array([[[0, 0, 10, 10], [20, 20, 30, 30]]], dtype=float)
    truth = Detections(boxes=boxes, scores=np.ones((1, 2)), classes=np.zeros((1, 2), int))
    found = Detections(boxes=np.add(boxes, [[0], [50]]), scores=np.array([[0.9, 0.8]]), classes=np.zeros((1, 2), int))
    # Precision is 1 up to a recall of one half, which 51 of the 101 places do not exceed.
    assert value(mean_average_precision(truth, found), 1) == pytest.approx(51 / 101)
    assert value(mean_average_precision(truth, truth), 1) == 1


def test_detection_statistics() -> None:
    """Detections that agree are at one; moved boxes, and boxes of NaN, are not."""
    truth, same, moved = detections(0), detections(0), detections(0, shift=4.0)
    good = points(detection_statistics(same, same, truth), 12)
    assert (good["map_agreement"], good["mean_ap_ratio"], good["mean_ap_drop"]) == (1, 1, 0)
    bad = points(detection_statistics(same, moved, truth), 12)
    assert bad["map_agreement"] < 0.9
    assert bad["mean_ap"] == pytest.approx(coco(truth, moved, list(range(12))), abs=1e-9)
    assert bad["mean_ap_ratio"] < 0.9
    broken = Detections(boxes=same.boxes[:] * np.nan, scores=same.scores, classes=same.classes)
    assert points(detection_statistics(same, broken, truth), 12)["mean_ap"] == 0


def test_a_reference_without_confidence_has_no_agreement() -> None:
    """There is nothing to agree with, and no number is made up."""
    shy = Detections(boxes=detections(0).boxes, scores=np.full((12, 6), 0.3), classes=detections(0).classes)
    assert set(detection_statistics(shy, shy, None)) == set()


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_integers_are_judged_by_how_many_are_equal(dtype: str) -> None:
    """No decibels, no distance: one of eight is wrong, whatever is in its place."""
    reference = (np.arange(16).reshape(2, 8) % 2).astype(dtype)
    candidate = reference.copy()
    candidate[0, 3] = not reference[0, 3]
    same = measure(reference, reference, logits=False, labels=None)
    other = measure(reference, candidate, logits=False, labels=None)
    assert (same.agreement, other.agreement) == (1.0, 15 / 16)
    assert same.sqnr_db is None
    assert other.sqnr_db is None


def test_floats_have_no_share_of_equal_elements() -> None:
    """Hardly any float is equal after rounding, and none need be."""
    found = measure(np.ones((2, 3)), np.ones((2, 3)) * 1.01, logits=False, labels=None)
    assert found.agreement is None
    assert found.sqnr_db is not None


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (8, False)])
def test_integers_keep_or_break_the_default_budget(wrong: int, passes: bool) -> None:
    """The limit on the SQNR does not apply to them; the one on equal elements does."""
    values = np.arange(64).reshape(64, 1) % 5
    other = values.copy()
    other[:wrong] += 1
    spec = TensorSpec(name="best", dtype="int64", shape=("batch", 1))
    samples = Samples(inputs={"x": np.zeros((64, 1), np.float32)})
    origin = Origin(program="float", device="cpu", device_name="here", dtype="float32", kernels="k", versions={})
    one, two = (Trace(samples=samples, outputs={"best": array}, origin=origin) for array in (values, other))
    (leg,) = leg_of(DEFAULT_BUDGET, "total", one, two, (spec,))
    assert {check.name for check in leg.checks} == {"finite", "min_agreement"}
    assert (not leg.breaches) is passes
    (quantization,) = leg_of(DEFAULT_BUDGET, "quantization", one, two, (spec,))
    assert {check.name for check in quantization.checks} == {"finite"}

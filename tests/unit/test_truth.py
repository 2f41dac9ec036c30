"""True values: read beside the samples, checked against the outputs, and handed to the right output."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data import trace, truth
from edgekit.data.files import load_samples
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.errors import DataError
from edgekit.spec import Meaning, TensorSpec

INPUTS = (TensorSpec(name="x", shape=("batch", 2)),)
X = np.zeros((3, 2), np.float32)


def spec(name: str, meaning: Meaning, *shape: int) -> TensorSpec:
    """Declare an output."""
    return TensorSpec(name=name, shape=("batch", *shape), meaning=meaning)


OUTPUTS = (
    spec("kind", "logits", 4), spec("mask", "segmentation", 3, 2, 2), spec("size", "regression", 2),
    spec("boxes", "boxes", 5, 4), spec("scores", "scores", 5), spec("classes", "classes", 5),
    spec("rest", "tensor", 7), spec("code", "embedding", 8),
)  # fmt: skip
GOOD: dict[str, np.ndarray] = {
    "kind": np.array([0, 3, 1], np.uint8),
    "mask": np.array([[[0, 1], [2, 255]]] * 3, np.uint8),
    "size": np.zeros((3, 2), np.float32),
    "boxes": np.zeros((3, 1, 4), np.float32),
    "classes": np.array([[0], [-1], [7]]),
    "rest": np.zeros((3, 9, 9)),
}


def load(tmp_path: Path, **changes: Any) -> Samples:
    """Write the samples with their true values to a file and read them; None leaves one out."""
    targets = {f"target.{name}": array for name, array in (GOOD | changes).items() if array is not None}
    path = tmp_path / "data.npz"
    np.savez(path, allow_pickle=False, x=X, **targets)
    return load_samples(path, INPUTS, None, (), OUTPUTS)


def test_true_values_are_read(tmp_path: Path) -> None:
    """By output; whole numbers become int64, all else stays as it is."""
    samples = load(tmp_path)
    assert set(samples.targets) == set(GOOD)
    assert samples.targets["mask"].dtype == np.int64
    assert samples.targets["size"].dtype == np.float32
    np.testing.assert_array_equal(samples.targets["boxes"], GOOD["boxes"])
    assert truth.known(samples, OUTPUTS) == frozenset(GOOD)
    assert samples.rows(slice(1, 2)).targets["kind"][:].tolist() == [3]
    assert samples.digest != load(tmp_path, kind=np.array([0, 3, 2], np.uint8)).digest


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": np.array([0, 4, 1])}, "target.kind has the class 4; there are 4"),
        ({"kind": np.array([0.0, 1.0, 1.0])}, "target.kind is float64 of shape (3,), not integers of shape (samples)"),
        ({"kind": np.array([0, 1])}, "target.kind has shape (2,) for 3 samples"),
        ({"mask": np.zeros((3, 2, 3), int)}, "not integers of shape (samples, 2, 2)"),
        ({"mask": np.full((3, 2, 2), 3)}, "target.mask has the class 3; there are 3"),
        ({"size": np.zeros(3)}, "target.size is float64 of shape (3,), not finite numbers"),
        ({"size": np.full((3, 2), np.nan)}, "not finite numbers"),
        ({"boxes": np.zeros((3, 1, 5))}, "not numbers of shape (samples, boxes, 4)"),
        ({"boxes": None}, "classes have true values, and the other"),
        ({"boxes": np.zeros((3, 2, 4))}, "one class a box is needed"),
        ({"boxes": np.full((3, 1, 4), np.nan)}, "a true box contains NaN"),
        ({"classes": np.full((3, 1), -1)}, "there is no true box"),
        ({"classes": np.zeros((3, 1))}, "not integers of shape (samples, boxes)"),
        ({"scores": np.zeros((3, 5))}, "target.scores is not used"),
        ({"code": np.zeros((3, 8))}, "target.code is not used"),
        ({"masks": np.zeros((3, 8))}, "target.masks; did you mean target.mask?"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    """Each fault is named; without the change all is well."""
    with pytest.raises(DataError) as caught:
        load(tmp_path, **changes)
    assert expected in caught.value.message
    assert load(tmp_path)


def test_places_of_no_box_may_hold_anything(tmp_path: Path) -> None:
    """Padding is not looked at."""
    boxes = GOOD["boxes"].copy()
    boxes[1] = np.nan
    assert load(tmp_path, boxes=boxes)


def test_labels_belong_to_the_first_logits() -> None:
    """And to those alone, unless they have true values of their own."""
    outputs = (spec("a", "tensor", 4), spec("b", "logits", 4), spec("c", "logits", 4))
    labels = np.arange(3)
    samples = Samples(inputs={"x": X}, labels=labels)
    assert [truth.of(output, samples, outputs) is labels for output in outputs] == [False, True, False]
    own = Samples(inputs={"x": X}, labels=labels, targets={"b": np.ones(3)})
    assert truth.of(outputs[1], own, outputs) is own.targets["b"]


def test_a_trace_keeps_them(tmp_path: Path) -> None:
    """Saved and loaded, the samples are the same."""
    origin = Origin(program="float", device="cpu", device_name="d", dtype="float32", kernels="k", versions={})
    samples = Samples(inputs={"x": X}, targets=GOOD)
    trace.save(Trace(samples=samples, outputs={"kind": X}, origin=origin), tmp_path / "t.npz")
    loaded = trace.load(tmp_path / "t.npz")
    assert loaded.samples.digest == samples.digest
    assert loaded.samples.digest != Samples(inputs={"x": X}).digest

"""What is measured of a stream is, to the digit, what is measured of the whole."""

from collections.abc import Iterator

import numpy as np
import pytest

from edgekit.data.gathered import Gathered
from edgekit.data.rows import Array, InFile, Rows
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift import dense, detection
from edgekit.drift.compare import leg_of
from edgekit.drift.custom import OwnMetric
from edgekit.drift.metrics import sqnr_db
from edgekit.drift.pairs import mean_of_rows
from edgekit.drift.report import Leg
from edgekit.execution.proof import Tolerance
from edgekit.spec import DEFAULT_BUDGET, Meaning, TensorSpec

COUNT = 150
SHAPES: dict[Meaning, tuple[int, ...]] = {
    "tensor": (3, 7), "logits": (9,), "segmentation": (4, 5, 6), "embedding": (16,), "regression": (5,),
}  # fmt: skip
CHUNKS = (1, 40, 333)


def traces(meaning: Meaning, *, single: bool = False) -> tuple[Trace, Trace, TensorSpec]:
    """Return a reference and a candidate with some values that are no numbers, and true values where there are any."""
    generator = np.random.default_rng(7)
    row = (1,) if single else SHAPES[meaning]
    theirs = generator.normal(size=(COUNT, *row)).astype(np.float32)
    ours = theirs + generator.normal(size=theirs.shape).astype(np.float32) * 0.1
    ours.reshape(COUNT, -1)[[5, 140], 0] = np.nan
    true: dict[str, Array] = {}
    if meaning == "segmentation":
        true["y"] = generator.integers(-1, row[0], (COUNT, *row[1:]))
    elif meaning == "regression":
        true["y"] = theirs + generator.normal(size=theirs.shape)
    labels = generator.integers(9, size=COUNT) if meaning == "logits" else None
    samples = Samples(inputs={"x": np.zeros((COUNT, 1), np.float32)}, labels=labels, targets=true)
    origin = Origin(program="float", device="cpu", device_name="", dtype="float32", kernels="", versions={})
    one, two = (Trace(samples=samples, outputs={"y": array}, origin=origin) for array in (theirs, ours))
    return one, two, TensorSpec(name="y", shape=("batch", *row), meaning=meaning)


def streamed(trace: Trace) -> Trace:
    """Return a trace whose outputs and true values lie in files."""

    def stored(arrays: dict[str, Rows]) -> dict[str, Rows]:
        found = Gathered(len(trace), 0)
        found.add({name: np.asarray(rows) for name, rows in arrays.items()})
        return found.rows()

    samples = Samples(
        inputs=trace.samples.inputs, labels=trace.samples.labels, targets=stored(dict(trace.samples.targets))
    )
    outputs = stored(dict(trace.outputs))
    assert all(isinstance(rows, InFile) for rows in outputs.values())
    return Trace(samples=samples, outputs=outputs, origin=trace.origin)


def largest(reference: Array, candidate: Array, targets: Array | None) -> float:
    """Return the largest error of what is a number: a metric of a project's own, which wants whole arrays."""
    assert isinstance(reference, np.ndarray)
    return float(np.nanmax(np.abs(reference - candidate)))


OWN = {"y": OwnMetric(name="largest", file=__file__, function=largest)}  # type: ignore[arg-type]


def leg(one: Trace, two: Trace, spec: TensorSpec) -> Leg:
    """Measure."""
    (found,) = leg_of(DEFAULT_BUDGET, "quantization", one, two, (spec,), own=OWN)
    return found


@pytest.fixture(params=CHUNKS)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Read so few elements at a time."""
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", request.param)
    monkeypatch.setattr(detection, "_PICTURES", 7)
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def whole() -> dict[tuple[Meaning, bool], Leg]:
    """Return what is measured when everything is read at once."""
    return {(meaning, single): leg(*traces(meaning, single=single)) for meaning, single in CASES}


CASES: list[tuple[Meaning, bool]] = [
    *((meaning, False) for meaning in SHAPES), ("tensor", True), ("regression", True)
]  # fmt: skip


@pytest.mark.parametrize(("meaning", "single"), CASES)
def test_every_digit_is_that_of_the_whole(
    whole: dict[tuple[Meaning, bool], Leg], chunk: int, meaning: Meaning, single: bool
) -> None:
    """Metrics, intervals and checks; and one changed value of the last sample shows."""
    one, two, spec = traces(meaning, single=single)
    expected = whole[meaning, single]
    assert leg(streamed(one), streamed(two), spec) == expected
    assert expected.metrics.non_finite == 2
    assert expected.intervals
    moved = np.array(two.outputs["y"])
    moved.reshape(COUNT, -1)[-1, -1] += 1e-4
    assert (
        leg(streamed(one), streamed(Trace(samples=two.samples, outputs={"y": moved}, origin=two.origin)), spec)
        != expected
    )


def test_integers_too(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are judged by how many are equal."""
    one, two, _ = traces("tensor")
    spec = TensorSpec(name="y", dtype="int64", shape=("batch", 3, 7))
    counted = [
        Trace(
            samples=one.samples, outputs={"y": np.nan_to_num(side.array("y") * 2).astype(np.int64)}, origin=one.origin
        )
        for side in (one, two)
    ]
    found = leg(streamed(counted[0]), streamed(counted[1]), spec)
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", 2**20)
    assert found == leg(counted[0], counted[1], spec)
    assert found.metrics.agreement not in (None, 1.0)


def detections(seed: int) -> dict[str, Array]:
    """Return random boxes."""
    generator = np.random.default_rng(seed)
    corners = np.random.default_rng(0).uniform(0, 50, (COUNT, 4, 2)) + generator.normal(size=(COUNT, 4, 2))
    return {
        "boxes": np.concatenate([corners, corners + 20], axis=2),
        "scores": generator.uniform(0.2, 1, (COUNT, 4)),
        "classes": np.random.default_rng(1).integers(-1, 3, (COUNT, 4)).astype(np.float32),
    }


def test_detections_are_matched_some_pictures_at_a_time(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which boxes find each other is a matter of one picture; their order by score is one of all."""
    meanings: tuple[Meaning, ...] = ("boxes", "scores", "classes")
    specs = tuple(
        TensorSpec(name=name, shape=("batch", 4, 4) if name == "boxes" else ("batch", 4), meaning=name)
        for name in meanings
    )
    origin = traces("tensor")[0].origin
    true = detections(2)
    targets = {"boxes": true["boxes"], "classes": true["classes"].astype(np.int64)}
    samples = Samples(inputs={"x": np.zeros((COUNT, 1), np.float32)}, targets=targets)
    one, two = (Trace(samples=samples, outputs=dict(detections(seed)), origin=origin) for seed in (0, 1))
    found = leg_of(DEFAULT_BUDGET, "quantization", streamed(one), streamed(two), specs)
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", 2**20)
    monkeypatch.setattr(detection, "_PICTURES", 1000)
    assert found == leg_of(DEFAULT_BUDGET, "quantization", one, two, specs)
    assert 0 < (found[0].metrics.mean_ap or 0) < 1


def test_neighbours_are_looked_for_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of rows and of others, also such as end within each other, find the same."""
    one, two, spec = traces("embedding")
    expected = leg(one, two, spec)
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", 1)
    for rows, others in ((64, 64), (70, 33), (7, 1), (150, 149)):
        monkeypatch.setattr(dense, "_ROWS", rows)
        monkeypatch.setattr(dense, "_OTHERS", others)
        assert leg(one, two, spec).metrics.neighbour_agreement == expected.metrics.neighbour_agreement


@pytest.mark.parametrize("size", [1, 2, 3, 8, 17, 100])
@pytest.mark.parametrize("at_once", [1, 3, 64, 999])
def test_a_mean_over_samples_is_numpys(size: int, at_once: int) -> None:
    """To the last bit, in whatever parts it comes; a sum in another order is another number."""
    values = np.random.default_rng(0).normal(size=(999, size))
    found = mean_of_rows(values[start : start + at_once] for start in range(0, 999, at_once))
    assert np.array_equal(found, values.mean(axis=0))
    backwards = mean_of_rows(values[::-1][start : start + at_once] for start in range(0, 999, at_once))
    assert not np.array_equal(backwards, found)
    assert np.allclose(backwards, found)


def test_ratios_and_proofs_of_streams(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise that a check looks at is that of the whole."""
    one, two, _ = traces("tensor")
    theirs, ours = one.array("y"), np.nan_to_num(two.array("y"), nan=0.5)
    expected, got = (
        streamed(Trace(samples=one.samples, outputs={"y": side}, origin=one.origin)).outputs["y"]
        for side in (theirs, ours)
    )
    found = sqnr_db(expected, got)
    words = Tolerance(ratio_db=30).excess(expected, got)
    assert Tolerance(ratio_db=5).excess(expected, got) is None
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", 2**20)
    assert found == sqnr_db(theirs, ours)
    assert words == Tolerance(ratio_db=30).excess(theirs, ours)
    assert words is not None

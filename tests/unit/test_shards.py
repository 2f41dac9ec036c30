"""Samples that are measured in shards: every number is that of the whole, to the last digit."""

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.drift.compare import compare
from edgekit.drift.custom import OwnMetric
from edgekit.drift.report import Leg
from edgekit.spec import Bootstrap, Limits, Meaning, TensorSpec
from tests.unit import examples

A = TypeVar("A")
B = TypeVar("B")
COUNT = 61
SHAPES: dict[str, tuple[int, ...]] = {
    "tensor": (3, 5), "image": (2, 4, 4), "logits": (7,), "segmentation": (4, 3, 5), "regression": (6,),
    "embedding": (8,), "boxes": (5, 4),
}  # fmt: skip
CASES = [*((meaning, "float32") for meaning in SHAPES), ("tensor", "int64"), ("regression", "uint8")]


def case(meaning: Meaning, dtype: str) -> tuple[Trace, Trace, tuple[TensorSpec, ...]]:
    """Return reference and candidate, with true values, and the outputs; one value is not finite."""
    generator = np.random.default_rng(7)
    shape = (COUNT, *SHAPES[meaning])
    values = generator.normal(size=shape) * 40 + 90
    other = values + generator.normal(size=shape)
    if meaning == "boxes":
        values = np.sort(values, axis=2)
        other = np.sort(other, axis=2)
    theirs, ours = (one.clip(0, 255).astype(dtype) for one in (values, other))
    if dtype == "float32" and meaning != "boxes":
        ours.reshape(COUNT, -1)[17, 0] = np.inf
    outputs = [TensorSpec(name="y", dtype=dtype, shape=("batch", *SHAPES[meaning]), meaning=meaning)]  # type: ignore[arg-type]
    sides = [{"y": theirs}, {"y": ours}]
    targets: dict[str, Any] = {}
    labels = None
    if meaning == "logits":
        labels = generator.integers(7, size=COUNT)
    elif meaning == "segmentation":
        targets["y"] = generator.integers(4, size=(COUNT, 3, 5))
    elif meaning == "regression":
        targets["y"] = (values + generator.normal(size=shape)).astype("float32")
    elif meaning == "boxes":
        scores = generator.uniform(0.2, 1.0, size=(COUNT, 5)).astype("float32")
        classes = generator.integers(3, size=(COUNT, 5))
        for side in sides:
            side.update(scores=scores, classes=classes)
        outputs += [
            TensorSpec(name="scores", dtype="float32", shape=("batch", 5), meaning="scores"),
            TensorSpec(name="classes", dtype="int64", shape=("batch", 5), meaning="classes"),
        ]
        targets = {"y": theirs, "classes": classes}
    samples = Samples(inputs={"x": np.arange(COUNT, dtype=np.float32)[:, None]}, labels=labels, targets=targets)
    origin = examples.baseline().origin
    made = [Trace(samples=samples, outputs=side, origin=origin) for side in sides]
    return made[0], made[1], tuple(outputs)


def own(reference: Any, candidate: Any, targets: Any) -> dict[str, float]:
    """Measure something that holds all samples against each other."""
    return {"spread": float(np.abs(np.sort(np.nan_to_num(candidate, posinf=0).ravel())).mean())}


def legs(meaning: Meaning, dtype: str, **how: Any) -> tuple[Leg, ...]:
    """Return the legs of a case, with intervals."""
    theirs, ours, outputs = case(meaning, dtype)
    metric = OwnMetric(name="own", file=__file__, function=own)  # type: ignore[arg-type]
    limits = Limits(min_sqnr_db=10.0) if dtype == "float32" else Limits()
    return compare("total", theirs, ours, outputs, limits, bootstrap=Bootstrap(resamples=100), own={"y": metric}, **how)


def places_of(ends: Iterable[int]) -> list[slice]:
    """Return shards that end there."""
    marks = sorted({0, *ends, COUNT})
    return [slice(one, other) for one, other in itertools.pairwise(marks)]


def anyhow(function: Callable[[A], B], values: Iterable[A]) -> Iterable[B]:
    """Call a function for all values at once, in threads."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(function, values))


@pytest.mark.parametrize(("meaning", "dtype"), CASES)
@given(ends=st.lists(st.integers(1, COUNT - 1), max_size=9))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_shards_say_what_the_whole_says(meaning: Meaning, dtype: str, ends: list[int]) -> None:
    """Every metric, interval and check of every meaning is equal, wherever the cuts are."""
    if meaning == "boxes":
        pytest.importorskip("pycocotools")
    whole = legs(meaning, dtype)
    found = legs(meaning, dtype, places=places_of(ends), run=anyhow)
    assert [one.model_dump_json() for one in found] == [one.model_dump_json() for one in whole]


@pytest.mark.parametrize("meaning", ["logits", "regression", "tensor"])
def test_shards_in_another_order_are_another_whole(meaning: Meaning) -> None:
    """The comparison above can fail: intervals are of samples in their order, sums of their order."""
    whole = legs(meaning, "float32")

    def backwards(function: Callable[[A], B], values: Iterable[A]) -> Iterable[B]:
        return [function(one) for one in values][::-1]

    found = legs(meaning, "float32", places=places_of([20, 40]), run=backwards)
    assert [one.model_dump_json() for one in found] != [one.model_dump_json() for one in whole]


def test_shards_go_to_other_processes() -> None:
    """What a shard says is arrays, which are handed over, and changes no digit on the way."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = legs("logits", "float32", places=places_of([20, 41]), run=pool.map)
    assert found == legs("logits", "float32")

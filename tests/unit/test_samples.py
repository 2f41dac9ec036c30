"""Samples: their identity, their batches, and whether they fit a model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.data.rows import Array
from edgekit.data.samples import Samples, check_fit
from edgekit.errors import DataError
from edgekit.spec import TensorSpec

INPUTS = (TensorSpec(name="x", shape=("batch", 3)), TensorSpec(name="ids", dtype="int64", shape=("batch", "length")))


def samples(rows: int = 4, *, labels: int | None = None, **inputs: Array) -> Samples:
    """Return samples that fit ``INPUTS``, with some inputs replaced."""
    arrays: dict[str, Array] = {
        "x": np.arange(rows * 3, dtype=np.float32).reshape(rows, 3),
        "ids": np.ones((rows, 5), dtype=np.int64),
    }
    return Samples(inputs=arrays | inputs, labels=None if labels is None else np.zeros(labels, dtype=np.int64))


def test_what_fits_passes() -> None:
    """Symbolic dimensions take any size; labels are optional."""
    check_fit(samples(), INPUTS, what="data")
    check_fit(samples(labels=4), INPUTS, what="data")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (samples(x=np.zeros((4, 3))), "x is float64, the model takes float32"),
        (samples(x=np.zeros((4, 2), np.float32)), "x has shape (4, 2)"),
        (samples(x=np.zeros(4, np.float32)), "x has shape (4,)"),
        (samples(x=np.zeros((3, 3), np.float32)), "different numbers of rows"),
        (samples(x=np.full((4, 3), np.inf, np.float32)), "x contains NaN or infinity"),
        (samples(rows=0), "x is empty"),
        (samples(labels=3), "3 labels for 4 samples"),
        (Samples(inputs={"ids": np.ones((4, 5), np.int64)}), "no array named x (found: ids)"),
        (Samples(inputs={}), "no array named x, ids (found: none)"),
    ],
)
def test_what_does_not_fit_is_told(wrong: Samples, expected: str) -> None:
    """Each fault has its line, under the name that the caller gave."""
    with pytest.raises(DataError, match="The calibration data does not fit") as caught:
        check_fit(wrong, INPUTS, what="calibration data")
    assert expected in caught.value.message


def test_all_faults_at_once() -> None:
    """One report names every fault."""
    with pytest.raises(DataError) as caught:
        check_fit(samples(x=np.zeros((3, 2))), INPUTS, what="data")
    assert caught.value.message.count("\n  - ") == 3


@given(rows=st.integers(1, 20), size=st.integers(1, 25))
def test_batches_are_all_rows_in_order(rows: int, size: int) -> None:
    """Put together, the batches are the samples; only the last may be smaller."""
    whole = samples(rows, labels=rows)
    batches = list(whole.batches(size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    together = Samples(
        inputs={name: np.concatenate([batch.inputs[name] for batch in batches]) for name in whole.inputs},
        labels=np.concatenate([batch.labels for batch in batches if batch.labels is not None]),
    )
    assert together.digest == whole.digest


def test_rows_are_a_view() -> None:
    """Taking rows copies nothing."""
    whole = samples()
    assert np.shares_memory(whole.rows(slice(1, 3)).inputs["x"], whole.inputs["x"])


def test_the_digest_sees_everything() -> None:
    """Values, names, shapes, dtypes and labels all change the digest; the order of names does not."""
    whole = samples(labels=4)
    x = whole.array("x")
    others = [
        samples(),
        samples(labels=4, x=x + 1),
        samples(labels=4, x=x.reshape(3, 4)),
        samples(labels=4, x=x.astype(np.float64)),
        samples(labels=4, y=x),
    ]
    assert len({whole.digest, *(other.digest for other in others)}) == 6
    assert (
        Samples(inputs={name: whole.inputs[name] for name in ("ids", "x")}, labels=whole.labels).digest == whole.digest
    )
    assert samples(labels=4, x=np.asfortranarray(x)).digest == whole.digest

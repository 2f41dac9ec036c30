"""The drift metrics, the legs and the budget. Every assertion has a twin that must fail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift.compare import compare
from edgekit.drift.metrics import cosine, kl_divergence, measure, sqnr_db
from edgekit.errors import DataError
from edgekit.spec import Limits, TensorSpec

LOGITS = TensorSpec(name="logits", shape=("batch", 4), meaning="logits")
LABELS = np.array([0, 1, 2, 3, 0, 1], dtype=np.int64)


def logits(seed: int = 0) -> np.ndarray:
    """Return logits for six samples that all name the right class."""
    values = np.random.default_rng(seed).normal(size=(6, 4)).astype(np.float32)
    values[np.arange(6), LABELS] += 9
    return values


def a_trace(outputs: np.ndarray, *, device: str = "cpu", seed: int = 0) -> Trace:
    """Return a trace of six samples."""
    images = np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32)
    origin = Origin.model_validate(
        {
            "program": "float",
            "device": device,
            "device_name": "somewhere",
            "dtype": "float32",
            "kernels": "k",
            "versions": {},
        }
    )
    return Trace(samples=Samples(inputs={"image": images}, labels=LABELS), outputs={"logits": outputs}, origin=origin)


def test_identical_outputs_have_no_drift() -> None:
    """Nothing differs, so every metric is at its best and the ratio is infinite, written as None."""
    metrics = measure(logits(), logits(), logits=True, labels=LABELS)
    assert metrics.sqnr_db is None
    assert metrics.max_abs_error == 0
    assert metrics.mean_abs_error == 0
    assert metrics.cosine == 1
    assert (metrics.top1_agreement, metrics.top5_agreement, metrics.kl_divergence) == (1, 1, 0)
    assert (metrics.accuracy, metrics.reference_accuracy) == (1, 1)


def test_metrics_have_their_textbook_values() -> None:
    """Hand-computed: noise of a tenth of the signal is 20 dB, and so on."""
    reference = np.array([[1.0, 0.0], [0.0, 1.0]])
    candidate = np.array([[1.1, 0.0], [0.0, 1.1]])
    metrics = measure(reference, candidate, logits=False, labels=None)
    assert metrics.sqnr_db == pytest.approx(20)
    assert metrics.max_abs_error == pytest.approx(0.1)
    assert metrics.mean_abs_error == pytest.approx(0.05)
    assert metrics.cosine == pytest.approx(1)
    assert metrics.top1_agreement is None
    p = np.array([[np.log(3), 0.0]])
    q = np.array([[0.0, 0.0]])
    assert kl_divergence(p, q) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert cosine(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])) == 0


def test_a_flipped_answer_shows() -> None:
    """One of six samples answers another class: agreement and accuracy fall by a sixth."""
    flipped = logits()
    flipped[0] = flipped[0][::-1]
    metrics = measure(logits(), flipped, logits=True, labels=LABELS)
    assert metrics.top1_agreement == pytest.approx(5 / 6)
    assert metrics.accuracy == pytest.approx(5 / 6)
    assert metrics.reference_accuracy == 1


def test_a_value_that_is_not_finite_is_counted_and_never_agrees() -> None:
    """NaN must not hide in a mean: it is counted, breaks any budget, and its sample has no answer."""
    broken = logits()
    broken[1, 2] = np.nan
    metrics = measure(logits(), broken, logits=True, labels=LABELS)
    assert metrics.non_finite == 1
    assert metrics.top1_agreement == pytest.approx(5 / 6)
    (leg,) = compare("total", a_trace(logits()), a_trace(broken), (LOGITS,), Limits())
    assert [breach.metric for breach in leg.breaches] == ["non_finite"]
    (leg,) = compare("total", a_trace(logits()), a_trace(logits()), (LOGITS,), Limits())
    assert leg.breaches == ()


@given(st.floats(-60, 60), st.integers(0, 1000))
def test_sqnr_follows_the_noise(decibel: float, seed: int) -> None:
    """Noise scaled to lie some decibel below the signal is measured as that many."""
    generator = np.random.default_rng(seed)
    signal, noise = generator.normal(size=(4, 8)), generator.normal(size=(4, 8))
    noise *= np.sqrt(np.square(signal).sum() / np.square(noise).sum()) * 10 ** (-decibel / 20)
    assert sqnr_db(signal, signal + noise) == pytest.approx(decibel, abs=1e-6)


def test_a_reference_of_zeros_gives_a_finite_and_low_ratio() -> None:
    """No signal at all is no reason to divide by zero."""
    ratio = sqnr_db(np.zeros((2, 2)), np.ones((2, 2)))
    assert ratio is not None
    assert ratio < -300


def test_compare_gives_one_row_per_output_and_says_where() -> None:
    """A leg names both sides, so that no number stands without its place."""
    (leg,) = compare("server", a_trace(logits()), a_trace(logits() + 0.01), (LOGITS,), Limits(min_sqnr_db=80))
    assert (leg.name, leg.output, leg.artifact) == ("server", "logits", None)
    assert "somewhere" in leg.reference
    assert [breach.metric for breach in leg.breaches] == ["sqnr_db"]


def test_compare_refuses_other_samples_and_missing_outputs() -> None:
    """Answers to different questions are not compared."""
    with pytest.raises(DataError, match="different samples"):
        compare("server", a_trace(logits()), a_trace(logits(), seed=1), (LOGITS,), Limits())
    other = TensorSpec(name="boxes", shape=("batch", 4))
    with pytest.raises(DataError, match="boxes"):
        compare("server", a_trace(logits()), a_trace(logits()), (other,), Limits())

"""The drift metrics, the legs and the budget. Every assertion has a twin that must fail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.drift.compare import breaches, compare
from edgekit.drift.metrics import Metrics, cosine, kl_divergence, measure, sqnr_db
from edgekit.errors import DataError
from edgekit.samples import Samples
from edgekit.spec import Limits, TensorSpec
from edgekit.trace import Origin, Trace

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
    assert [breach.metric for breach in breaches(metrics, Limits())] == ["non_finite"]


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


@pytest.mark.parametrize(
    ("limits", "metric"),
    [
        (Limits(min_sqnr_db=30), "sqnr_db"),
        (Limits(max_abs_error=0.01), "max_abs_error"),
        (Limits(max_mean_abs_error=0.001), "mean_abs_error"),
        (Limits(min_cosine=0.9999), "cosine"),
        (Limits(min_top1_agreement=0.9), "top1_agreement"),
        (Limits(min_top5_agreement=0.99), "top5_agreement"),
        (Limits(max_kl_divergence=0.01), "kl_divergence"),
        (Limits(max_accuracy_drop=0.1), "accuracy_drop"),
        (Limits(min_accuracy_ratio=0.9), "accuracy_ratio"),
    ],
)
def test_each_limit_is_checked(limits: Limits, metric: str) -> None:
    """Bad numbers break the limit, good ones keep it: a check that cannot fail is no check."""
    bad = Metrics(
        sqnr_db=20,
        max_abs_error=0.5,
        mean_abs_error=0.1,
        cosine=0.99,
        non_finite=0,
        top1_agreement=0.8,
        top5_agreement=0.8,
        kl_divergence=0.5,
        accuracy=0.5,
        reference_accuracy=0.9,
    )
    good = Metrics(
        sqnr_db=None,
        max_abs_error=0,
        mean_abs_error=0,
        cosine=1,
        non_finite=0,
        top1_agreement=1,
        top5_agreement=1,
        kl_divergence=0,
        accuracy=0.9,
        reference_accuracy=0.9,
    )
    assert [breach.metric for breach in breaches(bad, limits)] == [metric]
    assert breaches(good, limits) == ()


def test_every_limit_has_a_case() -> None:
    """A limit that is added must be added to the test above."""
    assert len(Limits.model_fields) == 9


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

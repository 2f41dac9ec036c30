"""Confidence intervals: they cover what they promise, are the same every time, and see pairs."""

import time

import numpy as np
import pytest

from edgekit.drift.metrics import classifier_statistics, element_statistics
from edgekit.drift.pairs import pairs
from edgekit.drift.statistics import Derived, OfCounts, Statistic, draws, intervals, mean_of, points
from edgekit.spec import Bootstrap

DEFAULT = Bootstrap()


def test_draws_are_draws() -> None:
    """Each row draws as many samples as there are; the parts are the same whatever their size; so is every run."""
    (first,), (again,) = draws(50, 1000), draws(50, 1000)
    assert first.shape == (1000, 50)
    assert (first.sum(axis=1) == 50).all()
    assert first.mean() == 1
    assert 0.9 < first.var() < 1.1
    assert (first == again).all()
    assert [len(part) for part in draws(3_000_000, 3)] == [1, 1, 1]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_cover_the_truth_as_often_as_they_promise(confidence: float) -> None:
    """Of 400 samples of 200 answers, each right with 0.9, about that share of the intervals holds 0.9."""
    generator = np.random.default_rng(1)
    settings = Bootstrap(confidence=confidence, resamples=400)
    held = 0
    for _ in range(400):
        found = intervals({"accuracy": mean_of(generator.random(200) < 0.9)}, 200, settings)["accuracy"]
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.9 <= found.high
    # Three standard errors of the share itself, and what discrete answers lose.
    assert held / 400 == pytest.approx(confidence, abs=0.05)


def test_intervals_agree_with_the_textbook() -> None:
    """For a mean the interval is two standard errors either way."""
    values = np.random.default_rng(0).normal(size=1000)
    found = intervals({"mean": mean_of(values)}, 1000, Bootstrap(resamples=4000))["mean"]
    error = 1.96 * values.std() / np.sqrt(1000)
    assert found.low == pytest.approx(values.mean() - error, abs=error / 10)
    assert found.high == pytest.approx(values.mean() + error, abs=error / 10)


def test_reference_and_candidate_are_drawn_together() -> None:
    """Two programs that are wrong on the same samples do not differ, however few samples there are."""
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(30, 4)), generator.integers(4, size=30)
    found = intervals(classifier_statistics(logits, logits, np.ones(30, bool), labels), 30, DEFAULT)
    assert (found["accuracy_drop"].low, found["accuracy_drop"].high) == (0, 0)
    assert found["accuracy"].low != found["accuracy"].high
    other = generator.permutation(logits)
    unpaired = intervals(classifier_statistics(logits, other, np.ones(30, bool), labels), 30, DEFAULT)
    assert unpaired["accuracy_drop"].low != unpaired["accuracy_drop"].high


def test_more_samples_say_more() -> None:
    """Sixteen times the samples, a quarter of the width."""
    answers = np.random.default_rng(0).random(1600) < 0.9

    def width(count: int) -> float:
        found = intervals({"it": mean_of(answers[:count])}, count, DEFAULT)["it"]
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(1600) == pytest.approx(width(100) / 4, rel=0.4)


def elements(reference: np.ndarray, candidate: np.ndarray) -> dict[str, Statistic]:
    """Return what is measured of every tensor."""
    (pair,) = pairs(reference, candidate)
    return element_statistics(pair)


def test_identical_outputs_have_an_infinite_ratio() -> None:
    """Written as null at both ends; with an error in one sample of three only the upper end is."""
    values = np.ones((3, 2))
    found = intervals(elements(values, values), 3, DEFAULT)["sqnr_db"]
    assert (found.low, found.high) == (None, None)
    near = values.copy()
    near[0] += 0.1
    found = intervals(elements(values, near), 3, DEFAULT)["sqnr_db"]
    assert found.low is not None
    assert found.high is None


def test_slow_metrics_are_drawn_alike() -> None:
    """A metric that is computed anew for each draw gives the interval that its quick twin gives."""
    values = np.random.default_rng(0).normal(size=40)
    quick = mean_of(values)
    slow = OfCounts(value=lambda counts: float((counts * values).sum() / counts.sum()))
    twice = Derived(of=("slow",), value=lambda mean: 2 * mean)
    found = intervals({"quick": quick, "slow": slow, "twice": twice}, 40, DEFAULT)
    assert found["slow"].low == pytest.approx(found["quick"].low)
    assert found["slow"].high == pytest.approx(found["quick"].high)
    assert found["twice"].high == pytest.approx(2 * points({"it": quick}, 40)["it"], abs=1)
    assert found["twice"].high == 2 * (found["slow"].high or 0)


def test_a_draw_without_a_value_is_left_out() -> None:
    """A metric may have no value for some draws."""
    found = intervals({"it": OfCounts(value=lambda counts: float("nan") if counts[0] == 0 else 1.0)}, 10, DEFAULT)["it"]
    assert (found.low, found.high) == (1, 1)


def test_it_is_quick() -> None:
    """Eight comparisons of 597 samples of ten logits, a thousand draws each, within two seconds of processor time."""
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(597, 10)), generator.integers(10, size=597)
    other = logits + generator.normal(size=logits.shape) * 0.05
    start = time.process_time()
    for _ in range(8):
        statistics = elements(logits, other) | classifier_statistics(logits, other, np.ones(597, bool), labels)
        intervals(statistics, 597, DEFAULT)
    assert time.process_time() - start < 2

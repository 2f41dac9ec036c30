"""Calibration and evaluation samples that differ are told, and such as are alike are not."""

import dataclasses

import numpy as np
import pytest

from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.pipeline.likeness import unlike
from edgekit.quantization import quantize
from edgekit.quantization.seen import db_of
from edgekit.spec import QuantSpec, Scheme
from tests.programs.networks import images, small_source


def pair(calibration: Samples, evaluation: Samples) -> tuple[str, ...]:
    """Return what is said of a small network."""
    source = small_source()
    quantized = quantize(capture(source, calibration), Scheme.INT8, QuantSpec(), calibration)
    return unlike(quantized, run_float(source, evaluation), run_quantized(quantized, evaluation))


def test_like_samples_are_not_told() -> None:
    """Other rows of the same kind."""
    assert pair(images(64, seed=1), images(64, seed=2)) == ()


@pytest.mark.parametrize(("louder", "word"), [(8.0, "More samples from other sources"), (0.0, "")])
def test_other_samples_are_told(louder: float, word: str) -> None:
    """Samples that are eight times as bright leave the ranges; with a factor of one they do not."""
    calibration = images(64, seed=1)
    bright = {name: np.asarray(x) * np.float32(louder or 1) for name, x in images(64, seed=2).inputs.items()}
    notes = pair(calibration, Samples(inputs=bright))
    assert bool(notes) is bool(word)
    assert all(word in note for note in notes)


def test_the_other_way_round_is_told_as_well() -> None:
    """An evaluation that is much easier than calibration says less than it seems to."""
    source = small_source()
    calibration = images(64, seed=1)
    quantized = quantize(capture(source, calibration), Scheme.INT8, QuantSpec(), calibration)
    host = run_float(source, images(64, seed=2))
    near = {name: np.asarray(x) * np.float32(1 + 1e-4) for name, x in host.outputs.items()}
    (note,) = unlike(quantized, host, Trace(samples=host.samples, outputs=near, origin=host.origin))
    assert "ask less" in note
    assert unlike(dataclasses.replace(quantized, seen_db={}), host, host) == ()


@pytest.mark.parametrize(
    ("real", "rounded", "wanted"),
    [
        ([[3, 4]], [[3, 4]], None),
        ([[3.0, 4.0]], [[3.0, 4.0]], None),
        ([[3.0, 4.0]], [[3.0, 3.5]], 20.0),
        ([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]], [[3.0, 3.5], [3.0, 3.5], [9.0, 9.0]], 20.0),
        ([[0.0]], [[1.0]], None),
        ([[np.nan]], [[1.0]], None),
    ],
)
def test_decibels(real: list[list[float]], rounded: list[list[float]], wanted: float | None) -> None:
    """25 to 0.25 is 20 dB, whatever one sample does; integers and what has no noise have none."""
    found = db_of([(np.array(real), np.array(rounded))])
    assert found == (None if wanted is None else pytest.approx(wanted))

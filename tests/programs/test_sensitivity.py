"""Layers switched in simulation: the same numbers as the quantized program's, and the faulty layer found."""

import math

import numpy as np
import pytest
import torch

from edgekit.data.rows import Array
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.layers import Sensitivities, lines
from edgekit.model.program import Captured
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.quantization.choice import Search, keep
from edgekit.quantization.sensitivity import rows, sensitivities
from edgekit.quantization.simulate import Simulation, run, simulate
from edgekit.spec import OutermostLayer, QuantSpec, Scheme
from tests.programs.networks import IMAGE, LOGITS, Forked, faulty_source, images, small_source

pytestmark = pytest.mark.slow
CALIBRATION, EVALUATION = images(128, seed=1), images(64, seed=2)
STEPS = pytest.mark.parametrize(
    "spec",
    [
        QuantSpec(),
        QuantSpec(adaptive_rounding=True),
        QuantSpec(bias_correction=False, last_layer=OutermostLayer.FLOAT),
    ],
    ids=["default", "adaptive", "plain"],
)


@pytest.fixture(scope="module")
def captured() -> Captured:
    """Return the small network, captured."""
    return capture(small_source(), CALIBRATION)


def ratio(reference: Array, candidate: Array) -> float:
    """Return the SQNR in dB, infinite for equal arrays."""
    found = sqnr_db(reference.astype(np.float64), candidate.astype(np.float64))
    return math.inf if found is None else found


@STEPS
def test_all_layers_in_int8_are_the_quantized_program(captured: Captured, spec: QuantSpec) -> None:
    """To the last bits; and far from the float program, which all layers in float are."""
    simulation = simulate(captured, spec, CALIBRATION)
    real = run_quantized(quantize(captured, Scheme.INT8, spec, CALIBRATION), EVALUATION).array("logits")
    exact = run_float(captured.source, EVALUATION).array("logits")
    on, off = run(simulation, EVALUATION)["logits"], run(simulation, EVALUATION, simulation.layers)["logits"]
    assert ratio(real, on) > 100
    assert ratio(exact, off) > 100
    assert ratio(exact, on) < 45


@pytest.mark.parametrize("path", ["stem.0", "depthwise.0", "gate.0", "classifier"])
def test_a_layer_switched_off_is_a_program_with_that_layer_in_float(captured: Captured, path: str) -> None:
    """Biases are corrected anew, so little tells the two apart, and another layer switched off more.

    The reconstruction holds float values in half precision on its way, a simulation does not: a step may tip.
    """
    simulation = simulate(captured, QuantSpec(), CALIBRATION)
    quantized = quantize(captured, Scheme.INT8, QuantSpec(float_layers=(path,)), CALIBRATION)
    real = run_quantized(quantized, EVALUATION).array("logits")
    assert ratio(real, run(simulation, EVALUATION, [path])["logits"]) > 50
    other = "gate.0" if path != "gate.0" else "stem.0"
    assert ratio(real, run(simulation, EVALUATION, [other])["logits"]) < 45


def test_a_simulation_leaves_the_captured_program_unchanged(captured: Captured) -> None:
    """Its parameters are its own."""
    before = {name: tensor.clone() for name, tensor in captured.program.state_dict.items()}
    sensitivities(simulate(captured, QuantSpec(), CALIBRATION), EVALUATION)
    assert all(torch.equal(tensor, before[name]) for name, tensor in captured.program.state_dict.items())


def faulty(outlier: float) -> tuple[Simulation, Sensitivities]:
    """Return the network whose layer in the middle has outliers, and its ranking."""
    simulation = simulate(capture(faulty_source(outlier), CALIBRATION), QuantSpec(), CALIBRATION)
    return simulation, sensitivities(simulation, EVALUATION)


def test_the_faulty_layer_is_first_in_both_sweeps() -> None:
    """And it is not in the network without the fault."""
    simulation, found = faulty(100)
    assert max(found.ranking, key=lambda one: one.gain_db or 0).layer.path == "middle"
    first, second = found.ranking[:2]
    assert (first.layer.path, first.layer.kind, first.layer.weights) == ("middle", "conv2d", 576)
    assert (first.layer.int8_bytes, first.layer.float_bytes) == (576 + 4 * 8, 4 * 576)
    assert first.only_sqnr_db is not None
    assert second.only_sqnr_db is not None
    assert second.only_sqnr_db > first.only_sqnr_db + 10
    assert first.gain_db is not None
    assert first.gain_db > 10
    whole, alone, without = (drift["logits"].kl_divergence for drift in (found.all_int8, first.only, first.all_but))
    assert whole is not None
    assert alone is not None
    assert without is not None
    assert without < 0.1 * min(whole, alone)
    assert first.only["logits"].accuracy is not None
    assert {one.layer.path for one in found.ranking} == set(simulation.layers)
    _, healthy = faulty(1)
    assert healthy.ranking[0].layer.path != "middle"
    (same,) = [one for one in healthy.ranking if one.layer.path == "middle"]
    assert same.gain_db is not None
    assert same.gain_db < 1


def test_the_rows_are_the_same_each_time_and_bounded() -> None:
    """Drawn from all samples, none twice."""
    simulation, _ = faulty(1)
    drawn = rows(simulation, 1000, most=100)
    assert np.array_equal(drawn, rows(simulation, 1000, most=100))
    assert len(set(drawn.tolist())) == 100
    assert drawn.max() > 500
    assert rows(simulation, 7).tolist() == list(range(7))


def search(simulation: Simulation, found: Sensitivities, most_weights: int, most_bytes: int = 10**6) -> Search:
    """Return what to choose by."""
    return Search(
        simulation=simulation,
        samples=EVALUATION,
        judged=EVALUATION,
        sensitivities=found,
        most_weights=most_weights,
        most_bytes=most_bytes,
    )


def test_the_layer_that_is_blamed_is_kept() -> None:
    """One step if that is enough; one more with every demand; none where it may not."""
    simulation, found = faulty(100)
    (middle,), outcome = keep(search(simulation, found, 1000), (), lambda outputs: True)
    assert (middle.layer.path, outcome) == ("middle", "met")
    assert middle.gain_db is not None
    assert middle.gain_db > 10
    both, outcome = keep(search(simulation, found, 1600), (middle,), lambda outputs: True)
    assert ([one.layer.path for one in both], outcome) == (["middle", "classifier"], "met")
    same, outcome = keep(search(simulation, found, 600), (middle,), lambda outputs: True)
    assert (same, outcome) == ((middle,), "limit")
    none, outcome = keep(search(simulation, found, 10**6, most_bytes=100), (), lambda outputs: True)
    assert (none, outcome) == ((), "limit")
    most, outcome = keep(search(simulation, found, 10**6), (), lambda outputs: False)
    assert len(most) > 2
    assert outcome == "no gain"


def test_layers_that_round_the_same_value_are_kept_together() -> None:
    """None of them gains alone, for the others would still round the value."""
    torch.manual_seed(0)
    source = source_from_module("forked", Forked(), (IMAGE,), (LOGITS,), {"batch": 64})
    simulation = simulate(capture(source, CALIBRATION), QuantSpec(), CALIBRATION)
    found = sensitivities(simulation, EVALUATION)
    assert max(one.gain_db or 0 for one in found.ranking) < 3
    assert {one.layer.path for one in found.ranking[:3]} == {"stem", "left", "right"}
    kept, outcome = keep(search(simulation, found, 10**6), (), lambda outputs: True)
    assert ({one.layer.path for one in kept}, outcome) == ({"stem", "left", "right"}, "met")
    assert sum(one.gain_db or 0 for one in kept) > 10


def test_the_lines_to_paste_are_toml() -> None:
    """What is printed is what a project file takes."""
    assert lines(("a.0", "b")) == ('scheme = "int8-mixed"', 'float_layers = ["a.0", "b"]')
    assert lines(()) == ()

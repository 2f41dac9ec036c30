"""The simulation is the program that is built, on networks of several kinds, and what comparing their layers costs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from edgekit.base.memory import Memory
from edgekit.data.samples import Samples
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.program import Captured
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize, sensitivity
from edgekit.quantization.portions import taken
from edgekit.quantization.sensitivity import comparable, sensitivities, sqnr
from edgekit.quantization.simulate import Simulation, program, run, simulate, sweep
from edgekit.spec import QuantSpec, Scheme, TensorSpec
from tests.programs.networks import Small, Tokens, TwoInTwoOut

pytestmark = pytest.mark.slow
# What the profile and the built program may differ by, in dB.
AGREED = 0.5


class Inverted(nn.Module):
    """Inverted residual blocks with ReLU6, as MobileNetV2 and EfficientNet-Lite have them."""

    def __init__(self, blocks: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU6())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(8, 24, 1), nn.ReLU6(), nn.Conv2d(24, 24, 3, 1, 1, groups=24), nn.ReLU6(), nn.Conv2d(24, 8, 1)
            )
            for _ in range(blocks)
        )
        self.classifier = nn.Linear(8, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 4) of an image (batch, 1, 8, 8)."""
        x = self.stem(image)
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class Signal(nn.Module):
    """Convolutions over time with a sigmoid gate."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv1d(2, 16, 5, 2), nn.Conv1d(2, 16, 5, 2)
        self.last = nn.Conv1d(16, 3, 3)

    def forward(self, signal: Tensor) -> Tensor:
        """Return features (batch, 3, 12) of a signal (batch, 2, 32)."""
        features: Tensor = self.last(torch.tanh(self.first(signal)) * torch.sigmoid(self.gate(signal)))
        return features


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network with the shapes of its inputs and outputs; ``fixed`` takes so many samples at once, and no others."""

    model: Callable[[], nn.Module]
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    layer: str
    fixed: int | None = None


CASES = {
    "inverted": Case(
        model=Inverted, inputs={"image": (1, 8, 8)}, outputs={"logits": (4,)}, layer="blocks.1.2"
    ),
    "gated": Case(model=Small, inputs={"image": (1, 8, 8)}, outputs={"logits": (4,)}, layer="depthwise.0"),
    "attention": Case(model=Tokens, inputs={"tokens": (6, 8)}, outputs={"features": (8,)}, layer="output"),
    "signal": Case(model=Signal, inputs={"signal": (2, 32)}, outputs={"features": (3, 12)}, layer="first"),
    "two": Case(
        model=TwoInTwoOut,
        inputs={"left": (6,), "right": (4,)},
        outputs={"scores": (3,), "embedding": (5,)},
        layer="left",
    ),
    "fixed batch": Case(
        model=Inverted, inputs={"image": (1, 8, 8)}, outputs={"logits": (4,)}, layer="blocks.1.2", fixed=4
    ),
}  # fmt: skip
FAMILIES = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def drawn(case: Case, count: int, seed: int) -> Samples:
    """Return seeded noise that changes from the first sample to the last: the first ones are not like the rest."""
    generator = np.random.default_rng(seed)
    change = np.linspace(0.2, 2, count)
    return Samples(
        inputs={
            name: (generator.normal(0.5, 1, size=(count, *shape)) * change.reshape(-1, *[1] * len(shape))).astype(
                np.float32
            )
            for name, shape in case.inputs.items()
        }
    )


def captured_of(case: Case, few: bool = False) -> Captured:
    """Return a network with seeded weights; with little memory few samples are reconstructed with."""
    torch.manual_seed(0)
    batch: int | str = case.fixed or "batch"
    source = source_from_module(
        "network",
        case.model().eval(),
        tuple(TensorSpec(name=name, shape=(batch, *shape)) for name, shape in case.inputs.items()),
        tuple(TensorSpec(name=name, shape=(batch, *shape)) for name, shape in case.outputs.items()),
        {} if case.fixed else {"batch": 64},
    )
    captured = capture(source, drawn(case, 64, 1))
    given = 2**22
    while few and len(taken(captured, Scheme.INT8, drawn(case, 64, 1))) > 24:
        captured = replace(captured, memory=Memory(given=given))
        given //= 2
    return captured


def apart(case: Case, captured: Captured, simulation: Simulation, spec: QuantSpec, kept: tuple[str, ...] = ()) -> float:
    """Return by how many dB the SQNR of a simulation and that of the built program differ."""
    evaluation = drawn(case, 48, 2)
    exact = run_float(captured.source, evaluation).outputs
    quantized = quantize(captured, Scheme.INT8, spec.model_copy(update={"float_layers": kept}), drawn(case, 64, 1))
    built = sqnr(exact, run_quantized(quantized, evaluation).outputs)
    simulated = sqnr(exact, run(simulation, evaluation, kept))
    assert built is not None
    assert simulated is not None
    assert built < 60
    return abs(simulated - built)


@FAMILIES
@pytest.mark.parametrize("few", [False, True], ids=["all samples", "few samples"])
def test_the_simulation_agrees_with_the_built_program(case: Case, few: bool) -> None:
    """With all layers in int8 and with one kept in float, also where few samples correct the biases."""
    captured = captured_of(case, few)
    simulation = simulate(captured, QuantSpec(), drawn(case, 64, 1))
    assert simulation.correcting is not None
    assert (len(simulation.correcting) < 64) == few
    assert apart(case, captured, simulation, QuantSpec()) < AGREED / 5
    assert apart(case, captured, simulation, QuantSpec(), (case.layer,)) < AGREED


@FAMILIES
def test_a_simulation_of_something_else_does_not_agree(case: Case) -> None:
    """The negative twin: calibrated with the first samples alone, which are not like the rest."""
    captured = captured_of(case)
    first = simulate(captured, QuantSpec(), drawn(case, 64, 1).rows(slice(8)))
    assert apart(case, captured, first, QuantSpec()) > AGREED


@FAMILIES
def test_the_simulated_program_is_the_built_one(case: Case) -> None:
    """To the bit, though it was calibrated once for both."""
    captured, calibration, evaluation = captured_of(case), drawn(case, 64, 1), drawn(case, 48, 2)
    simulation = simulate(captured, QuantSpec(), calibration)
    before = run(simulation, evaluation)
    ours = run_quantized(program(simulation), evaluation).outputs
    theirs = run_quantized(quantize(captured, Scheme.INT8, QuantSpec(), calibration), evaluation).outputs
    assert all(np.array_equal(np.asarray(ours[name]), np.asarray(theirs[name])) for name in case.outputs)
    after = run(simulation, evaluation)
    assert all(np.array_equal(before[name], after[name]) for name in case.outputs)


class Convolved(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the samples that convolutions are given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.samples = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, and compute."""
        if func is torch.ops.aten.convolution.default:
            self.samples += len(args[0])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("samples", [24, 96])
def test_ranking_layers_costs_few_forward_passes(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most ten for each layer, counted in convolutions; however many samples there are, 16 are compared."""
    case = replace(CASES["inverted"], model=partial(Inverted, 8))
    captured = captured_of(case)
    simulation = simulate(captured, QuantSpec(), drawn(case, 64, 1))
    assert comparable(simulation) > 100
    monkeypatch.setattr(sensitivity, "_WORK", 0)
    few = comparable(simulation)
    assert few == 16
    evaluation = drawn(case, samples, 2)
    with Convolved() as counted:
        found = sensitivities(simulation, evaluation)
    convolutions, layers = 1 + 3 * 8, len(simulation.layers)
    assert layers > convolutions
    assert (found.samples, found.compared) == (samples, 16)
    # On all samples: all layers in float, all in int8, and three again with their calibration samples in both streams.
    whole = 2 * samples + 3 * (samples + 2 * 64)
    passes = (counted.samples / convolutions - whole) / few
    assert passes < 3 * layers
    assert counted.samples / convolutions / few < 10 * layers
    assert sum(one.measured for one in found.ranking) == 16 < layers
    assert all(one.measured for one in found.ranking[:16])
    # The twin: the same plans, each from the beginning and with the biases of the built program.
    with Convolved() as counted:
        for path in simulation.layers:
            run(simulation, evaluation.spread(few), [path])
            sweep(simulation, evaluation.spread(few), simulation.alone(path), {})
    assert counted.samples / convolutions / few > 4 * passes


def test_no_layer_gains_much_more_than_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may gain less, where another layer rounds the same value; and what was not measured says so."""
    case = CASES["inverted"]
    simulation = simulate(captured_of(case), QuantSpec(), drawn(case, 64, 1))
    evaluation = drawn(case, 96, 2)
    measured = sensitivities(simulation, evaluation).ranking
    monkeypatch.setattr(sensitivity, "_MEASURED", 1)
    predicted = sensitivities(simulation, evaluation).ranking
    assert [one.layer.path for one in measured] == [one.layer.path for one in predicted]
    assert [one.measured for one in predicted] == [True] + [False] * (len(predicted) - 1)
    for ours, theirs in zip(predicted[1:], measured[1:], strict=True):
        assert ours.all_but == {}
        assert ours.gain_db is not None
        assert theirs.gain_db is not None
        assert theirs.gain_db < ours.gain_db + 0.5

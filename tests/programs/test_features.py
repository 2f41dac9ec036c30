"""Inputs of raw sensors: pascals beside shares, Kelvin beside flags, in one tensor."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from edgekit.data.rows import Array, whole
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec

MIDDLE = np.array([101_325, 293, 0.5, 1000, 0, 7])
SPREAD = np.array([300, 8, 0.2, 400, 1e-2, 0])


def sensors(count: int, seed: int, *more: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return pressures, temperatures, shares, heights, accelerations and a number that never changes."""
    noise = np.random.default_rng(seed).normal(size=(count, *more, len(MIDDLE)))
    return (MIDDLE + SPREAD * noise).astype(np.float32)


class Trained(nn.Sequential):
    """Layers as training on raw values leaves them: the first takes each feature as it is."""

    def __init__(self) -> None:
        first = nn.Linear(6, 32)
        super().__init__(first, nn.ReLU(), nn.Linear(32, 3))
        spread = torch.from_numpy(np.where(SPREAD > 0, SPREAD, 1))
        with torch.no_grad():
            weight = first.weight.double() / spread
            first.bias.copy_((first.bias - weight @ torch.from_numpy(MIDDLE)).float())
            first.weight.copy_(weight.float())


class Normed(nn.Sequential):
    """A batch norm before everything else."""

    def __init__(self) -> None:
        super().__init__(nn.BatchNorm1d(6), nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
        norm = self[0]
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(torch.from_numpy(MIDDLE))
        norm.running_var.copy_(torch.from_numpy(np.where(SPREAD > 0, SPREAD, 1) ** 2))


class Scaled(nn.Module):
    """What scales the features stands in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("middle", torch.from_numpy(MIDDLE).float())
        self.register_buffer("spread", torch.from_numpy(np.where(SPREAD > 0, SPREAD, 1)).float())
        self.layers = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 3)."""
        found: Tensor = self.layers((x - self.get_buffer("middle")) / self.get_buffer("spread"))
        return found


class Steps(nn.Module):
    """A recurrent network of raw steps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cells = Trained(), nn.GRU(3, 8, batch_first=True)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 5, 6) to (batch, 3)."""
        found: Tensor = self.last(self.cells(self.first(x))[0][:, -1])
        return found


class Named(nn.Module):
    """Gives the input a name."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return what the model does."""
        found: Tensor = self.model(x)
        return found


# How to make each, the sizes of a sample before the features, and the least dB: of the last, little varies.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], float]] = {
    "trained on raw values": (Trained, (), 28),
    "a norm first": (Normed, (), 28),
    "scaled in the model": (Scaled, (), 28),
    "of steps": (Steps, (5,), 20),
}


def quantized(model: nn.Module, values: Array) -> Quantized:
    """Quantize a network with half of some values, by the defaults."""
    x, y = TensorSpec(name="x", shape=("batch", *values.shape[1:])), TensorSpec(name="y", shape=("batch", 3))
    source = source_from_module("net", Named(model).eval(), (x,), (y,), {"batch": 64})
    calibration = Samples(inputs={"x": values[: len(values) // 2]})
    return quantize(capture(source, calibration), Scheme.INT8, QuantSpec(), calibration)


def held_out(values: Array) -> Samples:
    """Return the other half."""
    return Samples(inputs={"x": values[len(values) // 2 :]})


def varying_db(program: Quantized, samples: Samples, found: Array) -> float:
    """Return the SQNR of what varies, in dB."""
    reference = run_float(program.captured.source, samples).array("y").astype(np.float64)
    value = sqnr_db(reference - reference.mean(0), found.astype(np.float64) - reference.mean(0))
    assert value is not None
    return value


@pytest.mark.parametrize("name", NETWORKS)
def test_features_of_any_size_are_seen(name: str) -> None:
    """Rounded as one tensor, a step would be 397 Pa, more than all temperatures, shares and heights vary by."""
    torch.manual_seed(0)
    make, more, least = NETWORKS[name]
    values = sensors(512, 1, *more)
    program, samples = quantized(make(), values), held_out(values)
    found = run_quantized(program, samples).array("y")
    assert varying_db(program, samples, found) > least
    assert varying_db(program, samples, found[::-1]) < 5
    told = any("The features of x" in note for note in program.notes)
    assert told is (name in ("trained on raw values", "of steps"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_both_files_see_them(name: str) -> None:
    """And nothing is left outside of the delegate."""
    torch.manual_seed(0)
    make, more, least = NETWORKS[name]
    values = sensors(512, 1, *more)
    program, samples = quantized(make(), values), held_out(values)
    source = program.captured.source
    for artifact in (pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert varying_db(program, samples, whole(opened.run(samples, 1)["y"])) > least
        assert artifact.delegated_fraction == 1


def test_features_alike_are_rounded_at_once() -> None:
    """As before: a network of ordinary values has no operation more."""
    torch.manual_seed(0)
    values = np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32) * np.array([1, 2, 1, 4, 1, 3], np.float32)
    program = quantized(nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3)), values)
    names = [str(node.target) for node in program.program.graph.nodes if node.op == "call_function"]
    assert not any("aten.sub" in name or "aten.mul" in name for name in names)
    assert not program.notes


class Warm(nn.Module):
    """Differences of neighbours: what a network of temperatures computes first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 8, 3), nn.Conv1d(8, 3, 8)
        with torch.no_grad():
            self.first.weight.sub_(self.first.weight.mean(2, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, 10) to (batch, 3)."""
        found: Tensor = self.last(self.first(x).relu())[..., 0]
        return found


def test_what_is_far_from_zero_is_read_in_float() -> None:
    """One step of 293 K is more than a tenth of what varies; the layer behind computes with integers."""
    torch.manual_seed(0)
    values = (293 + 2 * np.random.default_rng(1).normal(size=(512, 1, 10))).astype(np.float32)
    program, samples = quantized(Warm(), values), held_out(values)
    found = run_quantized(program, samples).array("y")
    assert varying_db(program, samples, found) > 28
    assert varying_db(program, samples, found[::-1]) < 5
    first = next(node for node in program.program.graph.nodes if "conv1d" in str(node.target))
    assert all(isinstance(one, fx.Node) and one.op == "placeholder" for one in first.args[:2])

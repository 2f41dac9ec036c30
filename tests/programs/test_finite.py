"""Values that are not finite inside a network whose answers are: no steps are chosen by them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.rows import whole
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.quantization.observers import HistogramObserver
from edgekit.spec import Cpu, OnnxSettings, PteSettings, QuantSpec, Ranges, Scheme, TensorSpec

HOWS = ("log", "log of empty bins", "scaled log", "quotient", "choice", "filled", "mask", "overflow")


class Spectrum(nn.Module):
    """Two convolutions with something between them that is infinite, or no number, for some inputs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.second, self.last = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3), nn.Linear(16, 4)
        mask = torch.zeros(6, 6)
        mask[:, 4:] = float("-inf")
        self.register_buffer("mask", mask)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = self.first(image)
        match self.how:
            case "log":
                x = torch.maximum(torch.log(torch.relu(x)) + 1.0, torch.tensor(-8.0))
            case "log of empty bins":  # the sum is read by a layer in int8
                x = torch.relu(torch.log(torch.relu(x)) + 1.0)
            case "scaled log":
                x = torch.relu(torch.log(torch.relu(x)) * 0.5 + x)
            case "quotient":
                x = torch.nan_to_num(torch.relu(x) / torch.relu(x) * 2.0, 0.5) + x
            case "choice":
                large = x > 0.3
                x = torch.where(large, x / (torch.relu(x) * 0 + large), torch.zeros_like(x))
            case "filled":
                x = torch.log(torch.relu(x)).masked_fill(x < 0.05, -3.0)
            case "mask":
                x = torch.relu(x + self.get_buffer("mask"))
            case _:
                x = torch.clamp(torch.exp(x * 400) * 0.5, max=4.0) + x
        result: Tensor = self.last(torch.relu(self.second(x)).mean((2, 3)))
        return result


def pictures(count: int, seed: int) -> Samples:
    """Return seeded noise."""
    return Samples(inputs={"image": np.random.default_rng(seed).normal(size=(count, 1, 8, 8)).astype(np.float32)})


def quantized(how: str, ranges: Ranges) -> Quantized:
    """Quantize one of the networks."""
    torch.manual_seed(0)
    image, output = TensorSpec(name="image", shape=("batch", 1, 8, 8)), TensorSpec(name="out", shape=("batch", 4))
    source = source_from_module("spectrum", Spectrum(how).eval(), (image,), (output,), {"batch": 64})
    calibration = pictures(128, 1)
    return quantize(capture(source, calibration), Scheme.INT8, QuantSpec(ranges=ranges), calibration)


def ratio(program: Quantized, found: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Return the SQNR of what varies, in dB."""
    reference = run_float(program.captured.source, pictures(100, 2)).array("out").astype(np.float64)
    value = sqnr_db(reference - reference.mean(0), found - found.astype(np.float64).mean(0))
    assert value is not None
    return value


@pytest.mark.parametrize("ranges", Ranges)
@pytest.mark.parametrize("how", HOWS)
def test_what_is_not_finite_is_no_obstacle(how: str, ranges: Ranges) -> None:
    """The program follows its inputs."""
    program = quantized(how, ranges)
    found = run_quantized(program, pictures(100, 2)).array("out")
    assert np.isfinite(found).all()
    assert ratio(program, found) > 15


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_both_runtimes_agree(how: str) -> None:
    """They give what the program gives, and nothing else."""
    program = quantized(how, Ranges.MSE)
    source = program.captured.source
    for artifact in (pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert ratio(program, whole(opened.run(pictures(100, 2), 1)["out"])) > 15
        assert ratio(program, whole(opened.run(pictures(100, 2).rows(slice(None, None, -1)), 1)["out"])) < 5


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("ranges", Ranges)
def test_steps_are_chosen_for_finite_values(strange: float, ranges: Ranges) -> None:
    """As if the others had not been there; with nothing else, there still is a scale."""
    plain, other, nothing = (
        HistogramObserver(torch.int8, -128, 127, torch.per_tensor_affine, ranges=ranges) for _ in range(3)
    )
    values = torch.linspace(-1, 3, 1000)
    plain(values)
    other(torch.cat([values, torch.tensor([strange])]))
    nothing(torch.full((4,), strange))
    assert other.parameters_chosen == plain.parameters_chosen
    assert not other.finite
    assert plain.finite
    assert nothing.parameters_chosen[0] > 0
    rounded = other.quantize(torch.tensor([strange, 1.0]))
    assert torch.isfinite(rounded).all()
    assert rounded[1] == pytest.approx(1.0, abs=0.02)

"""Integers beside floats: what counts, points and selects is exact, and no scheme touches it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.bundles import verdict
from edgekit.data.rows import whole
from edgekit.data.samples import Samples
from edgekit.drift import varying
from edgekit.drift.meaning import measured, quick_metrics
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, Meaning, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec

COUNTERS = ("arange", "cumsum", "cat", "mask", "where", "product", "float of integers")
ANGLES = ("rope", "rope of length", "scaled", "offset", "buffer")


class Counting(nn.Module):
    """Embeddings, with integers that are computed on the way to them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.words, self.places = nn.Embedding(50, 32), nn.Embedding(64, 32)
        self.layer, self.last = nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 4) of numbers (batch, 8)."""
        ids = x
        x = torch.relu(self.layer(self.words(ids)))
        match self.how:
            case "arange":  # as transformers 5 has it
                x = x[:, torch.arange(ids.shape[1]) + 0]
            case "cumsum":
                x = x + self.places((ids > 3).int().cumsum(1) * 2 + 1)
            case "cat":
                x = x + self.places(torch.cat([ids[:, 4:] * 1, ids[:, :4] + 2], 1))
            case "mask":
                x = x * ((ids + 1) % 2)[:, :, None]
            case "where":
                x = torch.where((ids * 3 + 1)[:, :, None] > 60, x, x * 0.5)
            case "product":
                x = x + self.places(torch.clamp(ids * (ids + 1), max=63))
            case _:
                x = x + (ids + 1).float()[:, :, None] / 50
        result: Tensor = self.last(torch.relu(self.layer(x)).mean(1))
        return result


class Turning(nn.Module):
    """Operands that follow from no input: angles of positions, as rotary embeddings have them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.layer, self.last = nn.Linear(16, 16), nn.Linear(16, 4)
        self.register_buffer("angles", torch.rand(8, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 6, 4) of (batch, 6, 16)."""
        places = torch.arange(x.shape[1], device=x.device)[:, None].float() * self.get_buffer("angles")
        x = self.layer(x)
        angles = torch.arange(6)[:, None].float() * self.get_buffer("angles")
        both = torch.cat([angles, angles], -1)
        match self.how:
            case "rope":
                x = x * both.cos() + torch.cat([-x[..., 8:], x[..., :8]], -1) * both.sin()
            case "rope of length":
                x = x * torch.cat([places, places], -1).cos()
            case "scaled":
                x = x * (both.cos() * 1.5)
            case "offset":
                x = x + both.sin()
            case _:
                x = x * self.get_buffer("angles").repeat(2)
        result: Tensor = self.last(torch.relu(self.layer(x)))
        return result


def samples(kind: str, count: int, seed: int) -> Samples:
    """Return seeded ids or tokens."""
    generator = np.random.default_rng(seed)
    if kind in COUNTERS:
        return Samples(inputs={"x": generator.integers(0, 50, (count, 8))})
    return Samples(inputs={"x": generator.normal(size=(count, 6, 16)).astype(np.float32)})


def quantized(kind: str, scheme: Scheme) -> Quantized:
    """Quantize one of the networks."""
    torch.manual_seed(0)
    counts = kind in COUNTERS
    model: nn.Module = Counting(kind) if counts else Turning(kind)
    shape, dtype = (("batch", 8), "int64") if counts else (("batch", 6, 16), "float32")
    x = TensorSpec.model_validate({"name": "x", "shape": shape, "dtype": dtype})
    output = TensorSpec(name="out", shape=("batch", 4) if counts else ("batch", 6, 4))
    calibration = samples(kind, 64, 1)
    source = source_from_module("net", model.eval(), (x,), (output,), {"batch": 64})
    return quantize(capture(source, calibration), scheme, QuantSpec(scheme=scheme), calibration)


def ratio(program: Quantized, found: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Return the SQNR of answers for the evaluation samples in dB, of what varies."""
    kind = str(program.captured.source.model.how)
    reference = run_float(program.captured.source, samples(kind, 50, 2)).array("out").astype(np.float64)
    other = found.astype(np.float64)
    value = sqnr_db(reference - reference.mean(0), other - other.mean(0))
    return float("inf") if value is None else value


@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.INT8_DYNAMIC, Scheme.W8A16])
@pytest.mark.parametrize("kind", [*COUNTERS, *ANGLES])
def test_integers_stay_integers(kind: str, scheme: Scheme) -> None:
    """Whatever is computed with them, and in every scheme."""
    program = quantized(kind, scheme)
    assert ratio(program, run_quantized(program, samples(kind, 50, 2)).array("out")) > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["arange", "cumsum", "cat", "rope", "offset", "buffer"])
def test_both_runtimes_take_integers_and_constants(kind: str) -> None:
    """The integers of a constant have the type of the other operand."""
    program = quantized(kind, Scheme.INT8)
    source, evaluation = program.captured.source, samples(kind, 50, 2)
    for artifact in (pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert ratio(program, whole(opened.run(evaluation, 1)["out"])) > 20
        assert ratio(program, whole(opened.run(evaluation.rows(slice(None, None, -1)), 1)["out"])) < 5


class Pixels(nn.Module):
    """A picture of whole numbers, as a network that cleans pictures returns it; or one that does not depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return pixels (batch, 1, 8, 8), uint8, of x of the same shape."""
        y = torch.sigmoid(4 * self.last(torch.relu(self.first(x))))
        return (255 * y).round().to(torch.uint8)


@pytest.mark.parametrize("meaning", ["regression", "tensor"])
def test_amounts_are_near_where_they_are_close(meaning: Meaning, tmp_path: Path) -> None:
    """Pixels are a step off and right; the twin takes them for classes, which are then wrong."""
    torch.manual_seed(0)
    x = torch.randn(64, 1, 8, 8)
    (built,) = edgekit.build(
        Pixels(), x[:1], target="linux-arm64", calibration=x[:32], evaluation=x[32:], output=tmp_path, cache=False,
        meanings={"output": meaning},
    ).bundles  # fmt: skip
    total = [leg.metrics for leg in built.manifest.drift.legs if leg.name == "total"]
    assert len(total) == 2
    if meaning == "regression":
        assert built.passed, list(verdict.of_manifest(built.manifest))
        assert all(metrics.agreement is None and (metrics.sqnr_db or 0) > 25 for metrics in total)
    else:
        assert not built.passed
        assert all(metrics.sqnr_db is None and metrics.agreement is not None for metrics in total)


def test_amounts_that_are_far_off_break_the_budget() -> None:
    """They are no less strict than floats: other pixels are as wrong, and the same for all inputs are no answer."""
    spec = TensorSpec(name="y", dtype="uint8", shape=("batch", 64), meaning="regression")
    right = np.random.default_rng(0).integers(0, 256, (20, 64), dtype=np.uint8)
    near = np.clip(right.astype(int) + np.random.default_rng(1).integers(-1, 2, right.shape), 0, 255).astype(np.uint8)
    samples = Samples(inputs={"x": right.astype(np.float32)})
    always = np.broadcast_to(right.mean(0).astype(np.uint8), right.shape)
    ratios, follows = [], []
    for answer in (near, right[::-1], always):
        found = quick_metrics((spec,), {"y": right}, {"y": answer}, samples)["y"]
        ratios.append(found.sqnr_db or 0.0)
        follows.append(not varying.checks(measured(spec, (spec,), {"y": right}, {"y": answer}, samples).varying))
    assert ratios[0] > 40
    assert max(ratios[1:]) < 8
    assert follows == [True, False, False]

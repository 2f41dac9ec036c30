"""Where values are rounded: for what computes with integers, and for nobody else."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.data.rows import whole
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.graph import is_quantize, operation
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, Format, OnnxSettings, OutermostLayer, PteSettings, QuantSpec, Scheme, TensorSpec
from tests.programs.on_device import on_device


class Head(nn.Module):
    """Three convolutions, and something without weights behind them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.left, self.right = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(16, 8, 1)
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, image: Tensor) -> Any:
        """Return (batch, ...) of (batch, 1, 8, 8)."""
        x = torch.relu(self.second(torch.relu(self.first(image))))
        one, other = self.left(x), self.right(x)
        match self.how:
            case "mean":
                return one.mean((2, 3))
            case "pool":
                return functional.adaptive_avg_pool2d(one, 1).flatten(1)
            case "sum of means":
                return one.mean((2, 3)) + other.mean((2, 3))
            case "residual":
                return image + one[:, :1] * 0.02
            case "units":  # boxes in pixels beside scores, as a detector gives them
                return torch.cat([one.sigmoid() * 320, other.sigmoid()], 1).flatten(2).transpose(1, 2)
            case "scaled units":
                return torch.cat([one * 100, other], 1)
            case "rectified":
                return torch.relu(one * 100 + other)
            case "softmax":
                return (one.flatten(2) * 0.1 + 3 * other.flatten(2)).softmax(2)
            case _:
                scale = 0.5 * math.sqrt(2)
                return torch.relu(self.last(one * scale + other))


ENDS = {
    "mean": 45, "pool": 45, "sum of means": 45, "residual": 70, "units": 50, "scaled units": 34, "rectified": 34,
    "softmax": 34,
}  # fmt: skip


def pictures(count: int, seed: int) -> Samples:
    """Return seeded noise."""
    return Samples(inputs={"image": np.random.default_rng(seed).normal(size=(count, 1, 8, 8)).astype(np.float32)})


def quantized(how: str) -> Quantized:
    """Quantize the network with one of its ends."""
    torch.manual_seed(0)
    model = Head(how).eval()
    shape = tuple(model(torch.zeros(2, 1, 8, 8)).shape[1:])
    image, output = TensorSpec(name="image", shape=("batch", 1, 8, 8)), TensorSpec(name="out", shape=("batch", *shape))
    source = source_from_module("head", model, (image,), (output,), {"batch": 64})
    calibration = pictures(64, 1)
    spec = QuantSpec(last_layer=OutermostLayer.INT8)
    return quantize(capture(source, calibration), Scheme.INT8, spec, calibration)


def ratios(program: Quantized, found: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[float]:
    """Return the SQNR in dB, of each unit by itself where there are two."""
    reference = run_float(program.captured.source, pictures(50, 2)).array("out").astype(np.float64)
    axis = {"units": 2, "scaled units": 1}.get(program.captured.source.model.how)  # type: ignore[call-overload]
    parts = (reference, found.astype(np.float64))
    halves = zip(*(np.split(part, 2, axis) if axis else [part] for part in parts), strict=True)
    return [value for one, other in halves if (value := sqnr_db(one, other)) is not None]


@pytest.mark.parametrize("how", ENDS)
def test_an_answer_is_not_rounded_for_nobody(how: str) -> None:
    """What no layer reads stays float; 8 bits of one scale could not hold it: 31 dB, or all scores zero."""
    program = quantized(how)
    assert min(ratios(program, run_quantized(program, pictures(50, 2)).array("out"))) > ENDS[how]
    ends = set(program.program.graph.output_node().all_input_nodes)
    assert not any(operation(node).startswith("dequantize") for node in ends)


def test_a_sum_is_rounded_for_a_layer_in_int8() -> None:
    """The twin: a layer reads it, so it must be."""
    graph = quantized("layer").program.graph
    (total,) = [node for node in graph.nodes if operation(node) == "add"]
    assert all(map(is_quantize, total.users))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["units", "residual", "rectified"])
def test_both_runtimes_give_what_was_not_rounded(how: str) -> None:
    """And the layers before it still run in int8."""
    program = quantized(how)
    source = program.captured.source
    for artifact in (pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert min(ratios(program, whole(opened.run(pictures(50, 2), 1)["out"]))) > ENDS[how] - 1
        turned = whole(opened.run(pictures(50, 2).rows(slice(None, None, -1)), 1)["out"])
        assert min(ratios(program, turned)) < ENDS[how] - 10
        assert artifact.int8_fraction > 0.2


class Masked(nn.Module):
    """Attention with an additive mask that the app computes from the length of a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.last = (nn.Linear(16, 16) for _ in range(4))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return (batch, 16) of tokens (batch, 6, 16) and a mask (batch, 6) of ones and zeros."""
        scores = self.query(tokens) @ self.key(tokens).transpose(1, 2) / 4
        scores = scores + (1.0 - mask[:, None, :]) * -10000.0
        result: Tensor = self.last(scores.softmax(-1) @ self.value(tokens)).mean(1)
        return result


def test_a_mask_takes_no_steps_from_the_scores() -> None:
    """Rounded with a mask of -10000, all scores would be the same: 10 dB."""
    torch.manual_seed(0)

    def sentences(count: int, seed: int) -> Samples:
        generator = np.random.default_rng(seed)
        mask = (generator.random((count, 6)) > 0.3).astype(np.float32)
        mask[:, 0] = 1
        return Samples(inputs={"tokens": 3 * generator.normal(size=(count, 6, 16)).astype(np.float32), "mask": mask})

    inputs = TensorSpec(name="tokens", shape=("batch", 6, 16)), TensorSpec(name="mask", shape=("batch", 6))
    output = TensorSpec(name="out", shape=("batch", 16))
    source = source_from_module("masked", Masked().eval(), inputs, (output,), {"batch": 64})
    calibration, evaluation = sentences(64, 1), sentences(50, 2)
    program = quantize(capture(source, calibration), Scheme.INT8, QuantSpec(), calibration)
    reference = run_float(source, evaluation).array("out").astype(np.float64)
    found = sqnr_db(reference, run_quantized(program, evaluation).array("out").astype(np.float64))
    assert found is not None
    assert found > 30


class Pooled(nn.Module):
    """A classifier with a layer in integers behind the mean of its maps, or of its tokens."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.second, self.last = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3), nn.Linear(16, 8)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 8) of (batch, 1, 8, 8)."""
        maps = torch.relu(self.second(torch.relu(self.first(image))))
        match self.how:
            case "pool":
                mean = functional.adaptive_avg_pool2d(maps, 1).flatten(1)
            case "places":
                mean = maps.mean((2, 3))
            case _:
                mean = maps.flatten(2).transpose(1, 2).mean(1)
        logits: Tensor = self.last(mean)
        return logits


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pool", "places", "tokens"])
def test_a_mean_that_a_layer_reads_has_steps_of_its_own(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It varies less than the maps; on their steps little of it is left, as the twin shows. Both files give it."""
    torch.manual_seed(0)
    image, output = TensorSpec(name="image", shape=("batch", 1, 8, 8)), TensorSpec(name="out", shape=("batch", 8))
    source = source_from_module("pooled", Pooled(how).eval(), (image,), (output,), {"batch": 64})
    spec = QuantSpec(last_layer=OutermostLayer.INT8)
    held = pictures(50, 2)
    reference = run_float(source, held).array("out").astype(np.float64)

    def varying(found: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        return sqnr_db(reference - reference.mean(0), found.astype(np.float64) - reference.mean(0)) or math.inf

    captured = capture(source, pictures(64, 1))
    program = quantize(captured, Scheme.INT8, spec, pictures(64, 1))
    for artifact in (pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert varying(whole(opened.run(held, 1)["out"])) > 20
    monkeypatch.setattr("edgekit.quantization.placement._round_means", lambda graph, activation: None)
    twin = quantize(captured, Scheme.INT8, spec, pictures(64, 1))
    assert varying(run_quantized(twin, held).array("out")) < varying(run_quantized(program, held).array("out")) - 1


class Modulated(nn.Module):
    """A convolution whose weights follow from another input, a group for each sample, as StyleGAN2 has them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.2)
        self.style, self.last = nn.Linear(5, 3), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map (batch, 3, 8, 8) and (batch, 5) to (batch, 4, 8, 8)."""
        batch = x.shape[0]
        weights = self.weight[None] * (self.style(style) + 1)[:, None, :, None, None]
        y = functional.conv2d(x.reshape(1, -1, 8, 8), weights.flatten(0, 1), padding=1, groups=batch)
        found: Tensor = self.last(functional.leaky_relu(y.view(-1, 8, 8, 8), 0.2))
        return found


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_computed_weights_stay_float(format: Format) -> None:
    """They have no channels that calibration could give scales to; what is around them computes with integers."""
    torch.manual_seed(0)
    found = on_device(Modulated(), (3, 8, 8), (5,), scheme=Scheme.INT8, format=format)
    assert found.db > 25
    assert found.wrong_db < 10
    assert any(map(is_quantize, found.program.program.graph.nodes))

"""Values that are only moved between two layers are rounded once: their reader takes the steps that they are on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.graph import is_dequantize, is_quantize, operation
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec, Scheme, TensorSpec

Move = Callable[[Tensor], Tensor]


class Between(nn.Module):
    """Two convolutions, and something between them."""

    def __init__(self, move: Move) -> None:
        super().__init__()
        self.move = move
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))
        self.last = nn.Sequential(nn.Conv2d(8, 6, 3), nn.Conv2d(6, 6, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 6, ...) of (batch, 3, 12, 12)."""
        found: Tensor = self.last(self.move(self.first(image)))
        return found


def _shuffled(x: Tensor) -> Tensor:
    return torch.unflatten(x, 1, (2, 4)).transpose(1, 2).flatten(1, 2)


MOVES: dict[str, Move] = {
    "replicate": lambda x: functional.pad(x, (1, 1, 1, 1), mode="replicate"),
    "reflect": lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
    "circular": lambda x: functional.pad(x, (1, 1, 1, 1), mode="circular"),
    "zeros": lambda x: functional.pad(x, (2, 0, 1, 1)),
    "roll": lambda x: x.roll((1, 2), (2, 3)),
    "flip": lambda x: x.flip(3),
    "chunk": lambda x: x.chunk(2, 1)[1].repeat(1, 2, 1, 1),
    "channel shuffle": _shuffled,
    "nearest": lambda x: functional.interpolate(x, scale_factor=2.0),
    "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2).repeat(1, 4, 1, 1),
    "rows by index": lambda x: x[:, torch.tensor([3, 1, 0, 2, 7, 6, 5, 4])],
    "largest": lambda x: functional.adaptive_max_pool2d(x, 6),
}
COMPUTES: dict[str, Move] = {
    "tanh": torch.tanh,
    "pad by ones": lambda x: functional.pad(x, (1, 1, 1, 1), value=1.0),
    "scaled": lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
}


def _quantized(move: Move, **settings: Any) -> tuple[Quantized, Samples]:
    torch.manual_seed(0)
    model = Between(move).eval()
    size = tuple(model(torch.zeros(1, 3, 12, 12)).shape[1:])
    image, output = TensorSpec(name="image", shape=("batch", 3, 12, 12)), TensorSpec(name="out", shape=("batch", *size))
    source = source_from_module("between", model, (image,), (output,), {"batch": 16})
    data = [
        Samples(inputs={"image": np.random.default_rng(seed).normal(size=(32, 3, 12, 12)).astype(np.float32)})
        for seed in (1, 2)
    ]
    return quantize(capture(source, data[0]), Scheme.INT8, QuantSpec(**settings), data[0]), data[1]


def _steps(program: Quantized) -> tuple[object, object]:
    """Return scale and zero point behind the layer before the move, and of what the layer behind it reads."""
    layers = [node for node in program.program.graph.nodes if operation(node) == "conv2d"]
    (behind,) = layers[1].users
    read = layers[2].args[0]
    assert isinstance(read, fx.Node)
    return behind.args[1:3], read.args[1:3]


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_stay_on_their_steps(name: str) -> None:
    """The second rounding changes nothing."""
    program, _ = _quantized(MOVES[name])
    before, after = _steps(program)
    assert before == after


@pytest.mark.parametrize("name", COMPUTES)
def test_what_is_computed_has_steps_of_its_own(name: str) -> None:
    """The twin: its values are others."""
    program, _ = _quantized(COMPUTES[name])
    before, after = _steps(program)
    assert before != after


def test_behind_a_layer_in_float_the_reader_has_steps_of_its_own() -> None:
    """There is no rounding to share, and the reader computes with integers all the same."""
    program, samples = _quantized(MOVES["reflect"], float_layers=("first.1",))
    layers = [node for node in program.program.graph.nodes if operation(node) == "conv2d"]
    read = layers[2].args[0]
    assert isinstance(read, fx.Node)
    assert is_dequantize(read)
    assert not any(map(is_quantize, layers[1].users))
    assert _ratio(program, samples) > 30


def _ratio(program: Quantized, samples: Samples) -> float:
    reference = run_float(program.captured.source, samples).array("out").astype(np.float64)
    found = sqnr_db(reference, run_quantized(program, samples).array("out").astype(np.float64))
    assert found is not None
    return found


def test_one_rounding_loses_less_than_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a decibel of four layers."""
    program, samples = _quantized(MOVES["replicate"])
    monkeypatch.setattr("edgekit.quantization.placement.share_moved", lambda graph: None)
    twice, _ = _quantized(MOVES["replicate"])
    assert _ratio(program, samples) > _ratio(twice, samples) + 0.2

"""A model that takes bytes: scale, mean and deviation are its own first steps, and cost nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import edgekit
from edgekit.data.preprocess import normalized
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.execution.eager import run_float
from edgekit.model.capture import capture
from edgekit.model.source.module import source_from_module
from edgekit.quantization.static import quantize
from edgekit.spec import Preprocessing, QuantSpec, Resize, Scheme, TensorSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Colours(nn.Module):
    """Two convolutions over a picture of three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, 4) of an image (batch, 3, 16, 16)."""
        logits: torch.Tensor = self.head(self.stem(image).mean((2, 3)))
        return logits


def steps(**changes: Any) -> Preprocessing:
    """Return the steps that most models of photographs are trained with."""
    return Preprocessing(resize=Resize(height=16, width=16), mean=MEAN, std=STD, **changes)


def pictures(count: int, seed: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return pictures of (16, 16, 3) with a colour each and noise."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (count, 1, 1, 3)) + random.normal(0, 40, (count, 16, 16, 3))
    found: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(colours, 0, 255).astype(np.uint8)
    return found


def source_of(how: Preprocessing, model: nn.Module) -> Any:
    """Return the model behind a preprocessing."""
    shape = (3, 16, 16) if how.layout == "NCHW" else (16, 16, 3)
    image = TensorSpec(name="image", dtype=how.dtype, shape=("batch", *shape), meaning="image")
    logits = TensorSpec(name="logits", shape=("batch", 4), meaning="logits")
    return source_from_module("colours", model, (image,), (logits,), {"batch": 64}, preprocessing=how)


def samples_of(how: Preprocessing, count: int, seed: int) -> Samples:
    """Return pictures as the model takes them."""
    rows = [normalized(one, how) for one in pictures(count, seed)]
    return Samples(inputs={"image": np.concatenate(rows)})


def answers(how: Preprocessing, model: nn.Module, *, quantized: bool = False) -> "np.ndarray[Any, np.dtype[Any]]":
    """Return what a model gives for twenty pictures, perhaps in 8 bits."""
    source, samples = source_of(how, model), samples_of(how, 40, 1)
    if not quantized:
        return run_float(source, samples, device="cpu", batch=8).array("logits")
    captured = capture(source, samples_of(how, 64, 0))
    program = quantize(captured, Scheme.INT8, QuantSpec(), samples_of(how, 64, 0))
    with torch.no_grad():
        found: np.ndarray[Any, np.dtype[Any]] = program.program.module(check_guards=False)(
            torch.from_numpy(samples.array("image"))
        ).numpy()
    return found


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_bytes_give_what_floats_give(layout: Any) -> None:
    """In float to its rounding, in whatever order the app hands them over; layers keep their names."""
    torch.manual_seed(0)
    model = Colours()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expected = answers(steps(), model)
    found = answers(steps(in_graph=True, layout=layout), model)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found, answers(steps(in_graph=True, layout=layout, scale=1.0), model))
    source = source_of(steps(in_graph=True), model)
    assert dict(source.model.named_modules()).keys() == dict(model.named_modules()).keys()
    assert source.weights_sha256 == source_of(steps(), model).weights_sha256
    assert model.state_dict().keys() == before.keys()


def test_eight_bits_lose_no_more() -> None:
    """The scaled pixels are rounded once, where the first layer reads them, as a float input is."""
    torch.manual_seed(0)
    model = Colours()
    expected = answers(steps(), model)
    losses = []
    for how in (steps(), steps(in_graph=True)):
        error = answers(how, model, quantized=True) - expected
        losses.append(10 * np.log10(float((expected**2).mean() / (error**2).mean())))
    assert losses[1] > losses[0] - 1
    assert losses[0] > 25


def test_what_contradicts_itself_is_refused() -> None:
    """A float example for a model that takes bytes, before any work."""
    with pytest.raises(DataError, match='dtype: must be "uint8" after \\[preprocessing\\] with in_graph'):
        edgekit.build(
            Colours(),
            torch.zeros(1, 3, 16, 16),
            target="android-arm64",
            calibration=torch.zeros(8, 3, 16, 16),
            output="unused",
            preprocessing=steps(in_graph=True),
        )


@pytest.mark.slow
def test_a_bundle_that_takes_bytes(tmp_path: Path) -> None:
    """Both files take uint8 as a camera gives it, and agree with the float model."""
    torch.manual_seed(0)
    how = steps(in_graph=True, layout="NHWC")
    result = edgekit.build(
        Colours(),
        torch.from_numpy(samples_of(how, 2, 3).array("image")),
        target="android-arm64",
        calibration=torch.from_numpy(samples_of(how, 64, 0).array("image")),
        evaluation=torch.from_numpy(samples_of(how, 40, 1).array("image")),
        output=tmp_path,
        preprocessing=how,
        cache=False,
    )
    manifest = result.bundles[0].manifest
    assert (manifest.inputs[0].dtype, manifest.inputs[0].shape[1:]) == ("uint8", (16, 16, 3))
    assert len(manifest.artifacts) == 2
    totals = [leg for leg in manifest.drift.legs if leg.name == "total"]
    assert len(totals) == 2
    assert all(leg.metrics.sqnr_db is not None and leg.metrics.sqnr_db > 25 for leg in totals)

"""Capture, quantize and run: each stage does its part and leaves its input unchanged."""

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.base import digest
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import CaptureError, QuantizeError
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.graph import is_quantize, module_path, operation
from edgekit.model.program import Captured
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec, Scheme, TensorSpec
from tests.programs.networks import IMAGE, TwoInTwoOut, Unquantizable, images, small_source


def fingerprint(captured: Captured) -> tuple[str, str]:
    """Return what must not change: the graph as text and a digest of its tensors."""
    state = {name: tensor.detach().numpy() for name, tensor in captured.program.state_dict.items()}
    return str(captured.program.graph), digest.of_arrays(state)


@pytest.fixture(scope="module")
def captured() -> Captured:
    """Return the small network, captured."""
    return capture(small_source(), images(64, seed=1))


def test_capture_keeps_the_batch_symbolic(captured: Captured) -> None:
    """The program takes any batch up to the largest, also those on the other side of the traced one."""
    module = captured.program.module()
    for batch in (1, 15, 16, 64):
        assert module(torch.zeros(batch, 1, 8, 8)).shape == (batch, 4)


def test_capture_computes_what_the_model_does(captured: Captured) -> None:
    """Simplifying the graph changes no value."""
    pictures = torch.from_numpy(images(20, seed=3).inputs["image"])
    with torch.no_grad():
        assert torch.equal(captured.program.module()(pictures), captured.source.model(pictures))


def test_capture_drops_dropout_and_infers_the_batch_of_reshapes(captured: Captured) -> None:
    """A dropout left in is a missing kernel on the phone; a reshape that names the batch splits the delegate."""
    operations = [operation(node) for node in captured.program.graph.nodes if node.op == "call_function"]
    assert "dropout" not in operations
    (reshape,) = [node for node in captured.program.graph.nodes if operation(node) == "reshape"]
    assert reshape.args[1] == [-1, 8]


def test_nodes_know_their_module(captured: Captured) -> None:
    """A person knows modules, not node numbers."""
    paths = {module_path(node) for node in captured.program.graph.nodes if operation(node) == "conv2d"}
    assert paths == {"stem.0", "depthwise.0", "gate.0"}


def test_capture_says_what_torch_export_refuses() -> None:
    """Control flow that depends on values is no bug of ours: the error says what to do."""

    class Branch(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image if image.sum() > 0 else -image

    source = source_from_module("branch", Branch(), (IMAGE,), (IMAGE.model_copy(update={"name": "out"}),), {"batch": 8})
    with pytest.raises(CaptureError, match="branch") as caught:
        capture(source, images(8, seed=0))
    assert "torch.cond" in caught.value.hint


def test_quantize_leaves_the_captured_program_unchanged(captured: Captured) -> None:
    """Captured once, quantized many times."""
    before = fingerprint(captured)
    quantized = quantize(captured, Scheme.INT8, QuantSpec(), images(64, seed=1))
    assert fingerprint(captured) == before
    assert any(is_quantize(node) for node in quantized.program.graph.nodes)


def test_quantized_program_is_near_the_float_one(captured: Captured) -> None:
    """Int8 costs some decibels, not the answer; calibration on the wrong data costs much more."""
    evaluation = images(100, seed=2)
    reference = run_float(captured.source, evaluation).array("logits").astype(np.float64)

    def ratio(calibration: Samples) -> float:
        quantized = quantize(captured, Scheme.INT8, QuantSpec(), calibration)
        found = sqnr_db(reference, run_quantized(quantized, evaluation).array("logits").astype(np.float64))
        assert found is not None
        return found

    good = images(128, seed=1)
    dark = Samples(inputs={"image": good.array("image") * 0.05})
    assert ratio(good) > 25
    assert ratio(dark) < 15


def test_nothing_quantized_is_an_error() -> None:
    """A float program must not pass for an int8 one."""
    output = TensorSpec(name="out", shape=("batch", 1, 8, 8))
    source = source_from_module("float", Unquantizable(), (IMAGE,), (output,), {"batch": 64})
    captured = capture(source, images(32, seed=0))
    with pytest.raises(QuantizeError, match="Nothing in float"):
        quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=0))


def test_several_inputs_and_outputs_go_through() -> None:
    """Names and orders hold for more than one tensor on either side."""
    generator = np.random.default_rng(0)
    samples = Samples(
        inputs={
            "left": generator.normal(size=(40, 6)).astype(np.float32),
            "right": generator.normal(size=(40, 4)).astype(np.float32),
        }
    )
    torch.manual_seed(0)
    source = source_from_module(
        "fusion",
        TwoInTwoOut(),
        (TensorSpec(name="left", shape=("batch", 6)), TensorSpec(name="right", shape=("batch", 4))),
        (TensorSpec(name="scores", shape=("batch", 3)), TensorSpec(name="embedding", shape=("batch", 5))),
        {"batch": 32},
    )
    quantized = quantize(capture(source, samples), Scheme.INT8, QuantSpec(), samples)
    reference, found = run_float(source, samples), run_quantized(quantized, samples)
    assert list(found.outputs) == ["scores", "embedding"]
    for name, array in found.outputs.items():
        ratio = sqnr_db(reference.outputs[name], array)
        assert ratio is not None
        assert ratio > 20

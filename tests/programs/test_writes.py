"""Writes and layouts: what a model writes over, and how its tensors lie in memory, changes no answer and no caller."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.rows import Array, whole
from edgekit.data.samples import Samples
from edgekit.errors import CaptureError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_float
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Captured, Source
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, Format, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec

functional = nn.functional
INPUTS = (TensorSpec(name="x", shape=("batch", 3, 8, 8)),)
OUTPUTS = (TensorSpec(name="y", shape=("batch", 4)),)


class Writing(nn.Module):
    """A classifier around a function, which may write to what it gets and to the buffer."""

    seen: Tensor
    last: Tensor

    def __init__(self, function: Callable[["Writing", Tensor], Tensor]) -> None:
        super().__init__()
        self.convolution, self.linear, self.function = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), function
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("last", torch.zeros(8, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, 4) of x (batch, 3, 8, 8)."""
        result: Tensor = self.linear(self.function(self, x).mean((2, 3)))
        return result


def source_of(model: nn.Module) -> Source:
    """Return a source of a seeded model."""
    return source_from_module("writing", model, INPUTS, OUTPUTS, {"batch": 32})


def noise(seed: int = 5) -> Samples:
    """Return seeded noise."""
    return Samples(inputs={"x": np.random.default_rng(seed).normal(size=(32, 3, 8, 8)).astype(np.float32)})


def shift_input(model: Writing, x: Tensor) -> Tensor:
    """Write to the input."""
    x -= 0.5
    x[:, 0] = 0
    return torch.relu(model.convolution(x))


def read_twice(model: Writing, x: Tensor) -> Tensor:
    """Read what an activation has written over."""
    y = model.convolution(x)
    result: Tensor = y + functional.relu(y, inplace=True)
    return result


def through_a_view(model: Writing, x: Tensor) -> Tensor:
    """Write through views."""
    y = torch.relu(model.convolution(x))
    y[:, 1] *= 3
    y.view(-1, 8, 36).add_(1)
    y.permute(0, 2, 3, 1)[..., 2].fill_(2)
    return y


def count_calls(model: Writing, x: Tensor) -> Tensor:
    """Write to buffers that no answer depends on."""
    y = torch.relu(model.convolution(x))
    model.seen += 1
    model.last.copy_(y[0].detach())
    return y


def keep_state(model: Writing, x: Tensor) -> Tensor:
    """Answer by what an earlier call wrote."""
    y = torch.relu(model.convolution(x))
    model.last.mul_(0.9).add_(y[0].detach())
    return y + model.last


def activate(model: Writing, x: Tensor) -> Tensor:
    """Write over what nobody else reads, as most models do."""
    y: Tensor = functional.hardswish(model.convolution(x), inplace=True)
    return functional.relu6(y.clone(), inplace=True)


WRITING = [shift_input, read_twice, through_a_view, count_calls, activate]


def db(expected: Array, got: Array) -> float:
    """Return the SQNR."""
    noise = np.square(expected.astype(np.float64) - got).sum()
    return float(10 * np.log10(np.square(expected.astype(np.float64)).sum() / max(noise, 1e-30)))


@pytest.mark.parametrize("function", WRITING)
def test_captured_programs_write_to_nothing(function: Callable[[Writing, Tensor], Tensor]) -> None:
    """They compute what the model does, and no operation of theirs has a side effect."""
    torch.manual_seed(0)
    source = source_of(Writing(function))
    samples = noise()
    program = capture(source, samples).program
    assert not [node for node in program.graph.nodes if getattr(getattr(node.target, "_schema", None), "is_mutable", 0)]
    assert len(program.graph.output_node().all_input_nodes) == 1
    given = torch.from_numpy(samples.array("x").copy())
    with torch.no_grad():
        got = program.module(check_guards=False)(given).numpy()
    assert np.array_equal(given.numpy(), samples.inputs["x"])
    found = run_float(source, samples)
    assert np.array_equal(samples.inputs["x"], noise().inputs["x"])
    assert db(found.array("y"), got) > 100
    assert db(found.array("y"), got[::-1]) < 60


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("function", WRITING)
def test_writing_models_are_built_right(function: Callable[[Writing, Tensor], Tensor], format: Format) -> None:
    """The artifacts answer as the model does."""
    torch.manual_seed(0)
    source = source_of(Writing(function))
    program = quantize(capture(source, noise(1)), Scheme.INT8, QuantSpec(bias_correction=False), noise(1))
    lowered = pte.lower(program, PteSettings()) if format is Format.PTE else onnx.lower(program, OnnxSettings())
    device = source_with_batch(source, lowered.batch)
    opened = runs.open_artifact(format, lowered.data, Cpu.ARM64, device.inputs, device.outputs)
    expected = run_float(source, noise()).array("y")
    assert db(expected, whole(opened.run(noise(), 32)["y"])) > 25
    assert db(expected - expected.mean(0), whole(opened.run(noise(2), 32)["y"]) - expected.mean(0)) < 20


def test_state_is_refused() -> None:
    """With the buffer's name, and what to do."""
    with pytest.raises(CaptureError, match="depends on last") as caught:
        capture(source_of(Writing(keep_state)), noise())
    assert "forward(x, state)" in caught.value.hint


def plain(model: Writing, x: Tensor) -> Tensor:
    """Compute nothing special."""
    return functional.max_pool2d(torch.relu(model.convolution(x)), 2)


def channels_last(model: Writing, x: Tensor) -> Tensor:
    """Compute the same in channels-last memory."""
    x = x.to(memory_format=torch.channels_last)
    return functional.max_pool2d(torch.relu(model.convolution(x.contiguous(memory_format=torch.channels_last))), 2)


def built(function: Callable[[Writing, Tensor], Tensor], *, view: bool, last: bool) -> tuple[bytes, bytes, Captured]:
    """Return both artifacts of samples that may be a view, and of a model that may be channels-last."""
    torch.manual_seed(0)
    model = Writing(function)
    if last:
        model.convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples = noise(1)
    if view:
        array = np.ascontiguousarray(samples.array("x").transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        samples = Samples(inputs={"x": array})
    captured = capture(source_of(model), samples)
    program = quantize(captured, Scheme.INT8, QuantSpec(), samples)
    return pte.lower(program, PteSettings()).data, onnx.lower(program, OnnxSettings()).data, captured


@pytest.mark.slow
def test_layout_changes_no_byte() -> None:
    """NHWC views, channels-last weights, and a model that asks for such memory."""
    known = built(plain, view=False, last=False)[:2]
    assert built(plain, view=True, last=False)[:2] == known
    assert built(plain, view=False, last=True)[:2] == known
    pte_file, onnx_file, captured = built(channels_last, view=True, last=True)
    source = captured.source
    for format, data, plainly in zip((Format.PTE, Format.ONNX), (pte_file, onnx_file), known, strict=True):
        opened = runs.open_artifact(format, data, Cpu.ARM64, INPUTS, OUTPUTS)
        reference = runs.open_artifact(format, plainly, Cpu.ARM64, INPUTS, OUTPUTS)
        assert np.array_equal(opened.run(noise(), 32)["y"], reference.run(noise(), 32)["y"])
    assert all(parameter.is_contiguous() for parameter in source.model.parameters())

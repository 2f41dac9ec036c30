"""Batch norms that stand alone are written as layers that are quantized; copies leave the caller's module as it was."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.data.samples import Samples
from edgekit.execution import artifact as runs
from edgekit.quantization.norms import replace_norms
from edgekit.quantization.uses import separate
from edgekit.spec import Cpu, Format


class Normed(nn.Module):
    """A batch norm that no convolution can take in: behind an activation, or behind a linear layer."""

    def __init__(self, before: nn.Module, norm: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.norm, self.after = before, norm, after
        with torch.no_grad():
            for name, values in [*norm.named_parameters(), *norm.named_buffers()]:
                if values.is_floating_point():
                    values.uniform_(0.5, 1.5) if "mean" not in name else values.normal_()

    def forward(self, x: Tensor) -> Tensor:
        """Norm between two layers."""
        y: Tensor = self.after(self.norm(self.before(x)))
        return y


def behind_relu(layer: nn.Module) -> nn.Module:
    """Return the layer with an activation behind it."""
    return nn.Sequential(layer, nn.ReLU())


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "1-D": (lambda: Normed(behind_relu(nn.Conv1d(3, 8, 3)), nn.BatchNorm1d(8), nn.Conv1d(8, 4, 1)), (3, 20)),
    "2-D": (lambda: Normed(behind_relu(nn.Conv2d(3, 8, 3)), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)), (3, 9, 9)),
    "3-D": (lambda: Normed(behind_relu(nn.Conv3d(3, 8, 3)), nn.BatchNorm3d(8), nn.Conv3d(8, 4, 1)), (3, 5, 5, 5)),
    "vectors": (lambda: Normed(behind_relu(nn.Linear(6, 8)), nn.BatchNorm1d(8), nn.Linear(8, 4)), (6,)),
    "linear": (lambda: Normed(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)), (6,)),
    "no gain": (
        lambda: Normed(behind_relu(nn.Conv2d(3, 8, 3)), nn.BatchNorm2d(8, affine=False), nn.Conv2d(8, 4, 1)),
        (3, 9, 9),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_function_stays(name: str) -> None:
    """To float rounding, and no batch norm is left; the captured program keeps its own."""
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    model, data = make().eval(), torch.randn(20, *shape)
    captured = edgekit.capture(model, data[:2], samples=data)
    module = copy.deepcopy(captured.program.module(check_guards=False))
    separate(module)
    assert replace_norms(module) == 1
    assert not any("batch_norm" in str(node.target) for node in module.graph.nodes if node.op == "call_function")
    with torch.no_grad():
        torch.testing.assert_close(module(data[:16]), model(data[:16]), rtol=1e-4, atol=1e-5)
    assert any("batch_norm" in str(node.target) for node in captured.program.graph.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2-D", "linear"])
@pytest.mark.parametrize("largest", [2, 15, 16])
def test_small_largest_batches_stay_symbolic(name: str, largest: int) -> None:
    """A batch that is the traced and the largest one would be lowered as fixed; answers are right at all sizes."""
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    model, data = make().eval(), torch.randn(48, *shape)
    captured = edgekit.capture(model, data[:2], samples=data, max_batch=largest)
    program = edgekit.quantize(captured, data)
    with torch.no_grad():
        expected = model(data).double().numpy()
    for format in (Format.PTE, Format.ONNX):
        artifact = edgekit.lower(program, target="linux-x86_64", format=format)
        assert artifact.batch is None
        source = captured.source
        opened = runs.open_artifact(format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        for size in (1, largest, 1):
            found = opened.run(Samples(inputs={source.inputs[0].name: data.numpy()}), size)["output"]
            noise = np.square(expected - found).sum()
            assert noise < np.square(expected).sum() / 500
            assert np.square(expected - found[::-1]).sum() > 10 * noise


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_parametrized_modules_of_the_caller_stay(wrap: Callable[[nn.Module], nn.Module]) -> None:
    """The copy loses its parametrization; the caller's module has it, and computes what it did."""
    torch.manual_seed(0)
    model, data = nn.Sequential(wrap(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 4)).eval(), torch.randn(20, 6)
    with torch.no_grad():
        before = model(data)
    edgekit.capture(model, data[:2], samples=data)
    assert nn.utils.parametrize.is_parametrized(model[0])
    with torch.no_grad():
        torch.testing.assert_close(model(data), before, rtol=0, atol=0)


@pytest.mark.parametrize("bounds", [{}, {"lower": 0.2}, {"lower": 0.1, "upper": 0.5}])
def test_a_randomized_relu_has_the_mean_of_its_bounds(bounds: dict[str, Any]) -> None:
    """Those that are given, and torch's own for the others."""

    class Rectified(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = nn.functional.rrelu(self.layer(x), **bounds)
            return y

    torch.manual_seed(0)
    model, data = Rectified().eval(), torch.randn(20, 6)
    captured = edgekit.capture(model, data[:2], samples=data)
    with torch.no_grad():
        torch.testing.assert_close(captured.program.module(check_guards=False)(data[:16])[0], model(data[:16])[0])

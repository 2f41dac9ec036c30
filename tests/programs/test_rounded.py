"""Rounding in one pass gives what torch's decomposed operations give, to the bit."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, fx
from torch.export import export
from torchao.quantization.pt2e import quantize_pt2e  # noqa: F401  # it registers quantized_decomposed

from edgekit.model.rounded import from_int8, module_of, to_int8
from edgekit.quantization import correction
from edgekit.quantization.correction import Correction

_decomposed = torch.ops.quantized_decomposed
_aten = torch.ops.aten


class Rounded(torch.nn.Module):
    """Rounds, and says the integers too."""

    def __init__(self, scale: float, zero_point: int) -> None:
        super().__init__()
        self.steps = scale, zero_point, -128, 127, torch.int8

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return integers and what they stand for, shaped as x."""
        integers = _decomposed.quantize_per_tensor(x, *self.steps)
        return integers, _decomposed.dequantize_per_tensor(integers, *self.steps)


def hostile(scale: float) -> Tensor:
    """Return values of all sizes, halves of steps, both ends and beyond, and infinities, float32 of shape (4, n)."""
    torch.manual_seed(0)
    halves = (torch.arange(-300, 300) + 0.5) * scale
    ends = torch.tensor([math.inf, -math.inf, 1e30, -1e30, 0.0, -0.0, 2.0**31 * scale, -(2.0**31) * scale])
    return torch.cat([torch.randn(3392) * 60 * scale, halves, ends]).view(4, -1)


@pytest.mark.parametrize("scale", [0.0237, 2.0**-20, 3e7, 1 / 3])
@pytest.mark.parametrize("zero_point", [-128, -11, 0, 4, 127])
def test_a_program_rounds_as_before(scale: float, zero_point: int) -> None:
    """In any layout; only its own operations are replaced."""
    x = hostile(scale)
    program = export(Rounded(scale, zero_point), (x,), strict=False)
    fast = module_of(program)
    assert not any("quantize_per_tensor" in str(node.target) for node in fast.graph.nodes)
    for values in (x, x.t().contiguous().t()):
        expected = Rounded(scale, zero_point)(values)
        for one, other in zip(expected, fast(values), strict=True):
            assert torch.equal(one, other)
            assert one.stride() == other.stride()
        assert torch.equal(to_int8(expected[1], scale, zero_point), expected[0])
        assert torch.equal(from_int8(expected[0], scale, zero_point), expected[1])


def test_halves_would_tip_if_the_zero_point_came_first() -> None:
    """What torch's quantized tensors do by themselves, and why values are brought to whole steps first."""
    x = hostile(0.25)
    plain = torch.quantize_per_tensor(x, 0.25, -11, torch.qint8).int_repr()
    assert not torch.equal(plain, _decomposed.quantize_per_tensor(x, 0.25, -11, -128, 127, torch.int8))


@pytest.mark.parametrize(
    "clamp",
    [(_aten.relu.default,), (_aten.relu6.default,), (_aten.hardtanh.default, 0.0, 6.0), (_aten.hardtanh.default,)],
)
def test_a_clamp_needs_no_gradient(clamp: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The shift of a bias in front of a clamp is what the gradient gives, at its ends and beyond, too."""
    graph = fx.Graph()
    x, weight, bias = (graph.placeholder(name) for name in ("x", "weight", "bias"))
    layer = graph.call_function(_aten.conv2d.default, (x, weight, bias))
    graph.output(graph.call_function(clamp[0], (layer, *clamp[1:])))
    torch.manual_seed(0)
    real, rounded = torch.randn(2, 4, 8, 5, 5) * 4
    rounded[0, :, 0] = torch.tensor([-1.0, 0.0, 1.0, 6.0, 7.0])

    def shift() -> Tensor:
        found = Correction(layer)
        found.add(real, rounded)
        found.add(rounded, real)
        return found.shift()

    fast = shift()
    monkeypatch.setattr(correction, "_ends_behind", lambda _: None)
    assert torch.equal(fast, shift())
    assert fast.any()

"""Rounding to integers of 8 bits and back, to the bit as ``quantized_decomposed`` does it, in fewer passes.

torch's decomposed operations, in Python, pass over a tensor eight times for what torch's own quantized tensors do in
one pass. These round halves after the zero point is added, which tips halves to the other side where it is odd: so
values are brought to whole steps first.
"""

import functools
import warnings

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

_decomposed = torch.ops.quantized_decomposed


def to_int8(rounded: Tensor, scale: float, zero_point: int) -> Tensor:
    """Return values that lie on steps of ``scale`` as int8, shaped alike.

    Args:
        rounded: float32.
        scale: The step.
        zero_point: What zero becomes.
    """
    _warned_once()
    if not rounded.is_contiguous():  # it would become so
        return (rounded / scale).round_().add_(zero_point).to(torch.int8)
    quantized = torch.quantize_per_tensor(rounded, scale, zero_point, torch.qint8)
    shape, strides = quantized.shape, quantized.stride()
    return torch.empty(0, dtype=torch.int8).set_(quantized.untyped_storage(), 0, shape, strides)


def from_int8(integers: Tensor, scale: float, zero_point: int) -> Tensor:
    """Return what int8 values stand for, float32, shaped alike."""
    _warned_once()
    if not integers.is_contiguous():
        return integers.float().sub_(zero_point).mul_(scale)
    return torch._make_per_tensor_quantized_tensor(integers, scale, zero_point).dequantize()


@functools.cache
def _warned_once() -> None:
    """Take torch's one warning that quantized tensors will go some day: it is not for whoever builds a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.qint8)
        torch._make_per_tensor_quantized_tensor(held.int_repr(), 1.0, 0)


def module_of(program: ExportedProgram) -> fx.GraphModule:
    """Return a quantized program as a module, without guards, that rounds activations of 8 bits by these functions."""
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    for node in module.graph.nodes:
        if node.target is _decomposed.quantize_per_tensor.default and node.args[3:] == (-128, 127, torch.int8):
            node.target = _quantize
        elif node.target is _decomposed.dequantize_per_tensor.default and node.args[3:] == (-128, 127, torch.int8):
            node.target = _dequantize
    module.recompile()
    return module


def _quantize(x: Tensor, scale: float, zero_point: int, least: int, most: int, dtype: torch.dtype) -> Tensor:
    if x.dtype is torch.float32 and x.is_contiguous():
        return to_int8((x * (1.0 / scale)).round_(), 1.0, zero_point)
    found: Tensor = _decomposed.quantize_per_tensor(x, scale, zero_point, least, most, dtype)
    return found


def _dequantize(x: Tensor, scale: float, zero_point: int, least: int, most: int, dtype: torch.dtype) -> Tensor:
    return from_int8(x, scale, zero_point)

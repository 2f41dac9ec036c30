"""What an operation takes, estimated by what it multiplies and moves: the same on every machine, and no measurement.

The model is a roofline: an operation takes as long as its arithmetic or its memory does, whichever is longer (Williams,
Waterman and Patterson 2009, doi:10.1145/1498765.1498785), and something to be started.
"""

import math
from dataclasses import dataclass

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from edgekit.model.graph import is_recurrent, operation, operations

_CONSTANT = {InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR}
_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d", "convolution"}
_TRANSPOSED = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
_PRODUCTS = {"linear", "addmm", "mm", "matmul", "bmm", "baddbmm"}
_CURVES = {
    "gelu", "tanh", "sigmoid", "softmax", "_softmax", "silu", "elu", "exp", "erf", "log", "pow", "sin", "cos", "mish",
    "log_softmax", "_log_softmax", "softplus", "sqrt", "rsqrt",
}  # fmt: skip
# In units of a multiply-add in float32: round numbers that no runtime was fitted to. A float convolution that came to
# 2.7 % by them took 6.0 % of the time by ONNX Runtime's profiler.
_INT8_PRODUCT = 0.5
_CURVE = 8.0
_BYTE = 0.5
_START = 2000.0
_OUTSIDE = 4.0


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Bytes of the float weights of an operation, as they are and as int8 would have them."""

    float_bytes: int
    int8_bytes: int


def time_of(node: fx.Node, *, integers: bool, outside: bool = False) -> float:
    """Return the estimated time of an operation on one thread, in units of a multiply-add in float32.

    Args:
        node: A node of a captured, quantized or lowered graph.
        integers: Whether it computes with integers of 8 bits.
        outside: Whether it is computed by the runtime's own kernels, which are slower than a delegate's.
    """
    size = 1 if integers else 4
    moved = sum(map(_count, (node, *node.all_input_nodes))) * size
    arithmetic = _multiplied(node) * (_INT8_PRODUCT if integers else 1.0)
    if operation(node).removesuffix("_copy").rstrip("_") in _CURVES:
        arithmetic = _CURVE * _count(node)
    return (_OUTSIDE if outside else 1.0) * (max(arithmetic, _BYTE * moved) + _START)


def weights_of(node: fx.Node, constants: frozenset[str]) -> Weights:
    """Return what the float weights of an operation take.

    Args:
        node: The operation.
        constants: Names of the nodes that are weights, from `constants_of`.
    """
    held = [one for one in node.all_input_nodes if one.name in constants]
    values = [value for one in held if isinstance(value := one.meta.get("val"), torch.Tensor)]
    found = [value for value in values if value.dtype.is_floating_point]
    # A bias has as many bytes as an integer of 32 bits; a matrix has a scale for each row.
    narrow = [one.numel() + 4 * one.shape[0] if one.dim() > 1 else 4 * one.numel() for one in found]
    return Weights(float_bytes=sum(4 * one.numel() for one in found), int8_bytes=sum(narrow))


def constants_of(program: ExportedProgram) -> frozenset[str]:
    """Return the names of the nodes that stand for weights and other constants."""
    inputs = program.graph_signature.input_specs
    return frozenset(str(one.arg.name) for one in inputs if one.kind in _CONSTANT)


def total(graph: fx.Graph, floats: frozenset[fx.Node]) -> float:
    """Return the estimated time of all operations of a quantized graph but those in float, in the unit of `time_of`."""
    return sum(time_of(node, integers=True) for node in operations(graph) if node not in floats)


def _multiplied(node: fx.Node) -> float:
    """Return the multiply-adds of a layer or of a product of matrices; of anything else, its elements."""
    name, sources = operation(node), node.all_input_nodes
    shapes = [_shape(one) for one in sources]
    if name in _CONVOLUTIONS and len(shapes) > 1:
        transposed = name == "convolution" and len(node.args) > 6 and bool(node.args[6])
        return _transposed(shapes) if transposed else _count(node) * math.prod(shapes[1][1:])
    if name in _TRANSPOSED and len(shapes) > 1:
        return _transposed(shapes)
    if name in _PRODUCTS and len(shapes) > 1:
        first = shapes[1] if name in ("addmm", "baddbmm") else shapes[0]
        return _count(node) * (first[-1] if first else 1)
    if name == "scaled_dot_product_attention" and len(shapes) > 1:
        return 2.0 * _count(node) * (shapes[1][-2] if len(shapes[1]) > 1 else 1)
    if is_recurrent(node):
        steps = max(shapes[0][:-1], default=1) if shapes else 1
        return float(steps * sum(math.prod(one) for one in shapes[1:]))
    return float(max((_count(node), *map(_count, sources))))


def _transposed(shapes: list[list[int]]) -> float:
    return float(math.prod(shapes[0]) * math.prod(shapes[1][1:]))


def _count(node: fx.Node) -> int:
    return math.prod(_shape(node))


def _shape(node: fx.Node) -> list[int]:
    """Return the sizes of a node's value, of its first one where there are several; a size that varies is 1."""
    value = node.meta.get("val")
    if isinstance(value, tuple | list) and value:
        value = value[0]
    return [size if isinstance(size, int) else 1 for size in value.shape] if isinstance(value, torch.Tensor) else []

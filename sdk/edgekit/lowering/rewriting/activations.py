"""Write activations that XNNPACK lacks, or computes otherwise, as those that it has."""

import math

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import Writer, is_float, rank, shape, tensor_of
from edgekit.model.graph import arguments

_aten = torch.ops.aten


def gelu(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write GELU by its tanh, where it is asked for: XNNPACK's is the exact one, which is taken without a word."""
    given = arguments(node)
    data = given["self"]
    if given["approximate"] != "tanh" or not is_float(data):
        return None
    cube = write.mul(write.square(data), data)
    inner = write.mul(write.add(data, write.mul(cube, 0.044715)), math.sqrt(2 / math.pi))
    return write.mul(write.mul(data, 0.5), write.add(write(_aten.tanh.default, inner), 1.0))


def hardsigmoid(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write hard-sigmoid as ``hardtanh(x + 3, 0, 6) / 6``.

    ExecuTorch's own decomposition brings in scalar tensors of another dtype and their conversions, which stay outside
    the delegate: two kernels and eight nodes in a small MobileNetV3.
    """
    data = arguments(node)["self"]
    if not is_float(data):
        return None
    return write.mul(write(_aten.hardtanh.default, write.add(data, 3.0), 0.0, 6.0), 1 / 6)


def elu(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write ELU, CELU and SELU as ``scale * (max(x, 0) + alpha * (exp(min(x, 0) * rate) - 1))``."""
    given = arguments(node)
    data = given["self"]
    if not is_float(data):
        return None
    if node.target is _aten.selu.default:
        alpha, scale, rate = 1.6732632423543772, 1.0507009873554805, 1.0
    elif node.target is _aten.celu.default:
        alpha, scale, rate = float(given["alpha"]), 1.0, 1 / float(given["alpha"])
    else:
        alpha, scale, rate = float(given["alpha"]), float(given["scale"]), float(given["input_scale"])
    low = write(_aten.clamp.default, data, None, 0.0)
    low = low if rate == 1.0 else write.mul(low, rate)
    low = write.mul(write.add(write(_aten.exp.default, low), -1.0), alpha)
    result = write.add(write(_aten.relu.default, data), low)
    return result if scale == 1.0 else write.mul(result, scale)


def rrelu(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a leaky ReLU of random slope as it is outside of training: with the mean slope."""
    given = arguments(node)
    if given["training"]:
        return None
    return write(_aten.leaky_relu.default, given["self"], (given["lower"] + given["upper"]) / 2)


def softplus(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write softplus so that no power overflows."""
    given = arguments(node)
    data, beta = given["self"], float(given["beta"])
    if not is_float(data):
        return None
    result = _softplus(write, data if beta == 1.0 else write.mul(data, beta))
    return result if beta == 1.0 else write.mul(result, 1 / beta)


def _softplus(write: Writer, data: fx.Node) -> fx.Node:
    shrunk = write(_aten.exp.default, write(_aten.neg.default, write(_aten.abs.default, data)))
    rest = write(_aten.log.default, write.add(shrunk, 1.0))
    return write.add(write(_aten.relu.default, data), rest)


def mish(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write mish as ``x * tanh(softplus(x))``."""
    data = arguments(node)["self"]
    return write.mul(data, write(_aten.tanh.default, _softplus(write, data))) if is_float(data) else None


def log_sigmoid(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the logarithm of the sigmoid as a softplus."""
    data = arguments(node)["self"]
    if not is_float(data):
        return None
    return write(_aten.neg.default, _softplus(write, write(_aten.neg.default, data)))


def softsign(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write softsign as a quotient."""
    data = arguments(node)["self"]
    return write(_aten.div.Tensor, data, write.add(write(_aten.abs.default, data), 1.0)) if is_float(data) else None


def softshrink(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write softshrink as what a clamp takes away."""
    given = arguments(node)
    data, limit = given["self"], float(given["lambd"])
    return write.sub(data, write(_aten.clamp.default, data, -limit, limit)) if is_float(data) else None


def glu(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a gated half as a product with a sigmoid."""
    given = arguments(node)
    data, axis = given["self"], given["dim"]
    sizes = shape(data)
    if not is_float(data) or not all(isinstance(size, int) for size in sizes):
        return None
    axis %= len(sizes)
    half = sizes[axis] // 2
    gate = write(_aten.sigmoid.default, write.slice(data, axis, half, 2 * half))
    return write.mul(write.slice(data, axis, 0, half), gate)


def prelu(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write PReLU of other than pictures as ``max(x, 0) + weight * min(x, 0)``: XNNPACK wants four dimensions."""
    given = arguments(node)
    data, slope = given["self"], given["weight"]
    weight = tensor_of(write.program, slope)
    if not is_float(data) or weight is None or (rank(data) == 4 and weight.numel() == shape(data)[1]):
        return None
    sizes = [weight.numel(), *[1] * max(rank(data) - 2, 0)] if weight.numel() > 1 else [1]
    factor = write.constant(f"{slope.name}_{rank(data)}", weight.reshape(sizes))
    low = write(_aten.clamp.default, data, None, 0.0)
    return write.add(write(_aten.relu.default, data), write.mul(low, factor))

"""Write functions of single elements that XNNPACK lacks by those that it has."""

import math

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import Writer, is_float, rank, tensor_of
from edgekit.model.graph import arguments

_aten = torch.ops.aten
_HUGE = 1e38
# Added to what is divided by, in place of a zero.
_TINY = 1e-20


def reciprocal(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a reciprocal as a quotient."""
    data = arguments(node)["self"]
    return write(_aten.div.Tensor, _one(write, data), data) if is_float(data) else None


def scaled_sum(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a sum or a difference with a factor as one of a product."""
    given = arguments(node)
    left, right, factor = given["self"], given["other"], given["alpha"]
    if factor == 1 or not is_float(node) or not (isinstance(right, fx.Node) and is_float(right)):
        return None
    scaled = write.mul(right, float(factor))
    return write.sub(left, scaled) if node.target is _aten.sub.Tensor else write.add(left, scaled)


def taken_from(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a number from which data is taken as a sum."""
    given = arguments(node)
    data, number = given["self"], given["other"]
    if not is_float(data) or not isinstance(number, int | float):
        return None
    return write.add(write.mul(data, -float(given["alpha"])), float(number))


def product_added(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a product that is added as the two operations."""
    given = arguments(node)
    data, left, right, factor = given["self"], given["tensor1"], given["tensor2"], float(given["value"])
    if not all(map(is_float, (data, left, right))):
        return None
    product = write.mul(left, right)
    return write.add(data, product if factor == 1 else write.mul(product, factor))


def between(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write what lies between two values as the first and a part of the way."""
    given = arguments(node)
    start, end, weight = given["self"], given["end"], given["weight"]
    if not (is_float(start) and is_float(end)) or not (isinstance(weight, int | float) or is_float(weight)):
        return None
    part = weight if isinstance(weight, fx.Node) else float(weight)
    return write.add(start, write.mul(write.sub(end, start), part))


def by_constant(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a product with a constant matrix as a linear layer."""
    left, right = arguments(node).values()
    held = tensor_of(write.program, right)
    if held is None or held.dim() != 2 or not is_float(left) or not is_float(node):
        return None
    return write(_aten.linear.default, left, write.constant(f"transposed_{right.name}", held.t()))


def sign(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a sign as a clamp of what is far from zero unless it is zero."""
    data: fx.Node = arguments(node)["self"]
    if not is_float(data):
        return None
    for _ in range(2):  # the least float32 is 1e-45
        data = write(_aten.clamp.default, write.mul(data, _HUGE), -1.0, 1.0)
    return data


def erf(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the error function by GELU: with ``y = sqrt(2) * x`` it is ``(gelu(y) + gelu(-y)) / y``."""
    data = arguments(node)["self"]
    if not is_float(data):
        return None
    data = write.add(write.mul(data, math.sqrt(2)), _TINY)
    both = [write(_aten.gelu.default, one) for one in (data, write.mul(data, -1.0))]
    return write(_aten.div.Tensor, write.add(*both), data)


def _one(write: Writer, data: fx.Node) -> fx.Node:
    return write.unnamed(torch.ones(1, 1, 1, 1)) if rank(data) == 4 else write.constant("one", torch.ones(1))

"""Operators that compute each element by itself, reductions, and types."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgekit.model.programs.onnx.node import Node, OnnxError, Value, numbers, scalar, tensor

# Of TensorProto; wide and narrow floats are computed in float32, as everything else here.
DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float32, 11: torch.float32, 16: torch.float32,
}  # fmt: skip
Operator = Callable[..., Any]


def dtype_of(number: int) -> torch.dtype:
    """Return the type of a number of TensorProto.

    Raises:
        OnnxError: If torch has none for it.
    """
    if number not in DTYPES:
        raise OnnxError(f"type {number} of ONNX has no counterpart")
    return DTYPES[number]


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda node, x: function(tensor(x))


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    """Constants of one element are numbers in the operation: a graph has them as the module had."""

    def apply(node: Node, *given: Value) -> Any:
        values = [scalar(value) for value in given]
        if not any(isinstance(value, Tensor) for value in values):
            values = [tensor(value) for value in given]
        return functools.reduce(function, values)

    return apply


def _extreme(kind: str) -> Operator:
    call = torch.maximum if kind == "max" else torch.minimum
    return lambda node, *given: functools.reduce(call, [tensor(value) for value in given])


def _divided(one: Any, other: Any) -> Any:
    whole = all(
        not value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, int) for value in (one, other)
    )
    return torch.div(one, other, rounding_mode="trunc") if whole else one / other


def _mod(node: Node, one: Value, other: Value) -> Any:
    return torch.fmod(tensor(one), scalar(other)) if node.attribute("fmod", 0) else tensor(one) % scalar(other)


def _clip(node: Node, x: Value, least: Value = None, most: Value = None) -> Any:
    low = node.attribute("min") if least is None else scalar(least)
    high = node.attribute("max") if most is None else scalar(most)
    if low == 0 and high is None:
        return torch.relu(tensor(x))
    if low == 0 and high == 6:
        return functional.relu6(tensor(x))
    return tensor(x) if low is None and high is None else torch.clamp(tensor(x), low, high)


def _hard_sigmoid(node: Node, x: Value) -> Any:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return functional.hardsigmoid(tensor(x))
    return torch.clamp(tensor(x) * alpha + beta, 0, 1)


def _gelu(node: Node, x: Value) -> Any:
    form = node.attribute("approximate", b"none")
    return functional.gelu(tensor(x), approximate=form.decode() if isinstance(form, bytes) else form)


def _softmax(call: Callable[..., Tensor]) -> Operator:
    def apply(node: Node, x: Value) -> Any:
        given = tensor(x)
        axis = node.attribute("axis", -1 if node.version >= 13 else 1)
        if node.version < 13 and axis % given.ndim != given.ndim - 1:  # then it was over all axes from there
            return call(given.flatten(axis % given.ndim), -1).reshape(given.shape)
        return call(given, axis)

    return apply


def _reduced(call: Callable[..., Any]) -> Operator:
    """Reductions take their axes as an attribute before opset 18 (sums before 13), behind it as an input."""

    def apply(node: Node, x: Value, axes: Value = None) -> Any:
        given = tensor(x)
        where = list(node.attribute("axes") or ([] if axes is None else numbers(axes, "its axes")))
        if not where and node.attribute("noop_with_empty_axes", 0):
            return given
        return call(given, where or list(range(given.ndim)), bool(node.attribute("keepdims", 1)))

    return apply


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _arg(call: Callable[..., Tensor]) -> Operator:
    def apply(node: Node, x: Value) -> Any:
        if node.attribute("select_last_index", 0):
            raise OnnxError("select_last_index is not torch's")
        return call(tensor(x), node.attribute("axis", 0), bool(node.attribute("keepdims", 1)))

    return apply


def _cumulated(node: Node, x: Value, axis: Value) -> Any:
    if node.attribute("exclusive", 0) or node.attribute("reverse", 0):
        raise OnnxError("exclusive and reverse sums are not torch's")
    return tensor(x).cumsum(int(numbers(axis, "its axis")[0]))


def _matmul(node: Node, one: Value, other: Value) -> Any:
    return torch.matmul(tensor(one), tensor(other))


def _gemm(node: Node, one: Value, other: Value, more: Value = None) -> Any:
    first, second = tensor(one), tensor(other)
    first = first.t() if node.attribute("transA", 0) else first
    second = second.t() if node.attribute("transB", 0) else second
    found = first @ second * node.attribute("alpha", 1.0)
    return found if more is None else found + tensor(more) * node.attribute("beta", 1.0)


def _layer_norm(node: Node, x: Value, weight: Value, bias: Value = None) -> Any:
    given = tensor(x)
    shape = given.shape[node.attribute("axis", -1) % given.ndim :]
    return functional.layer_norm(
        given, list(shape), tensor(weight), None if bias is None else tensor(bias), node.attribute("epsilon", 1e-5)
    )


def _lp_norm(node: Node, x: Value) -> Any:
    order, axis = node.attribute("p", 2), node.attribute("axis", -1)
    return tensor(x) / torch.linalg.vector_norm(tensor(x), order, axis, keepdim=True)


def _rms_norm(node: Node, x: Value, weight: Value) -> Any:
    given = tensor(x)
    axes = list(range(node.attribute("axis", -1) % given.ndim, given.ndim))
    scale = (given.square().mean(axes, keepdim=True) + node.attribute("epsilon", 1e-5)).rsqrt()
    return given * scale * tensor(weight)


ELEMENTWISE: dict[str, Operator] = {
    **{name: _unary(getattr(torch, name.lower())) for name in (
        "Abs", "Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh",
        "Asinh", "Acosh", "Atanh", "Tanh", "Sigmoid", "Relu", "Erf", "Ceil", "Floor", "Round", "Sign", "IsNaN", "IsInf",
    )},
    "Not": _unary(torch.logical_not), "BitwiseNot": _unary(torch.bitwise_not), "Softsign": _unary(functional.softsign),
    "Softplus": _unary(functional.softplus), "HardSwish": _unary(functional.hardswish), "Mish": _unary(functional.mish),
    "Selu": _unary(functional.selu), "Identity": _unary(lambda x: x),
    "LeakyRelu": lambda node, x: functional.leaky_relu(tensor(x), node.attribute("alpha", 0.01)),
    "Elu": lambda node, x: functional.elu(tensor(x), node.attribute("alpha", 1.0)),
    "Celu": lambda node, x: functional.celu(tensor(x), node.attribute("alpha", 1.0)),
    "ThresholdedRelu": lambda node, x: functional.threshold(tensor(x), node.attribute("alpha", 1.0), 0.0),
    "Swish": lambda node, x: tensor(x) * torch.sigmoid(tensor(x) * node.attribute("alpha", 1.0)),
    "Dropout": lambda node, x, *more: tensor(x), "HardSigmoid": _hard_sigmoid, "Gelu": _gelu, "Clip": _clip,
    "PRelu": lambda node, x, slope: torch.where(tensor(x) < 0, tensor(x) * tensor(slope), tensor(x)),
    "Add": _binary(operator.add), "Sub": _binary(operator.sub), "Mul": _binary(operator.mul), "Div": _binary(_divided),
    "Pow": _binary(operator.pow), "Sum": _binary(operator.add), "Mod": _mod, "Max": _extreme("max"),
    "Min": _extreme("min"), "Mean": lambda node, *given: sum(map(tensor, given)) / len(given),
    "And": _binary(torch.logical_and), "Or": _binary(torch.logical_or), "Xor": _binary(torch.logical_xor),
    "BitwiseAnd": _binary(operator.and_), "BitwiseOr": _binary(operator.or_), "BitwiseXor": _binary(operator.xor),
    "Equal": _binary(operator.eq), "Less": _binary(operator.lt), "LessOrEqual": _binary(operator.le),
    "Greater": _binary(operator.gt), "GreaterOrEqual": _binary(operator.ge),
    "Where": lambda node, c, a, b: torch.where(tensor(c), scalar(a), scalar(b)),
    "Cast": lambda node, x: tensor(x).to(dtype_of(node.attribute("to"))),
    "CastLike": lambda node, x, like: tensor(x).to(tensor(like).dtype),
    "Softmax": _softmax(torch.softmax), "LogSoftmax": _softmax(torch.log_softmax),
    "ReduceMean": _reduced(torch.mean), "ReduceSum": _reduced(torch.sum), "ReduceMax": _reduced(torch.amax),
    "ReduceMin": _reduced(torch.amin), "ReduceProd": _reduced(_product),
    "ReduceL1": _reduced(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduced(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceSumSquare": _reduced(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceLogSum": _reduced(lambda x, axes, keep: x.sum(axes, keep).log()),
    "ReduceLogSumExp": _reduced(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "ArgMax": _arg(torch.argmax), "ArgMin": _arg(torch.argmin), "CumSum": _cumulated,
    "MatMul": _matmul, "Gemm": _gemm, "LayerNormalization": _layer_norm, "LpNormalization": _lp_norm,
    "RMSNormalization": _rms_norm,
    "Einsum": lambda node, *given: torch.einsum(node.attribute("equation").decode(), *map(tensor, given)),
}  # fmt: skip

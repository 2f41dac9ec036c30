"""Operators on sizes: computed in Python's numbers, so that symbolic sizes stay symbolic."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.model.programs.onnx.node import Host, Node, host

_FLOATS = {1, 10, 11, 16}
_BOOL = 9


def _divided(one: Any, other: Any) -> Any:
    return one / other if isinstance(one, float) or isinstance(other, float) else one // other


def _axes(node: Node, given: list[Host]) -> list[int]:
    found = given[1].tolist() if len(given) > 1 else node.attribute("axes", [])
    return [int(axis) for axis in found]


def _unsqueezed(node: Node, given: list[Host]) -> Host:
    return np.expand_dims(given[0], tuple(_axes(node, given)))


def _squeezed(node: Node, given: list[Host]) -> Host:
    axes = _axes(node, given)
    return np.squeeze(given[0], tuple(axes)) if axes else np.squeeze(given[0])


def _cast(node: Node, given: list[Host]) -> Host:
    kind = node.attribute("to")
    if kind in _FLOATS:
        return _each(lambda value: value * 1.0, given[0])
    if kind == _BOOL:
        return _each(bool, given[0])
    return _each(lambda value: int(value) if isinstance(value, float | bool) else math.trunc(value), given[0])


def _each(function: Callable[..., Any], *given: Host) -> Host:
    found = np.frompyfunc(function, len(given), 1)(*given)
    return found if isinstance(found, np.ndarray) else host(found)


def _slice(node: Node, given: list[Host]) -> Host:
    if len(given) == 1:
        starts, ends = node.attribute("starts"), node.attribute("ends")
        axes, steps = node.attribute("axes"), None
    else:
        starts, ends = given[1].tolist(), given[2].tolist()
        axes = given[3].tolist() if len(given) > 3 else None
        steps = given[4].tolist() if len(given) > 4 else None
    where = [slice(None)] * given[0].ndim
    for number, axis in enumerate(axes or range(len(starts))):
        step = steps[number] if steps else 1
        end = None if step < 0 and ends[number] < -(2**31) else ends[number]
        where[axis] = slice(starts[number], end, step)
    return given[0][tuple(where)]


def _concat(node: Node, given: list[Host]) -> Host:
    return np.concatenate([one.reshape(-1) if one.ndim == 0 else one for one in given], axis=node.attribute("axis"))


def _reduced(function: Callable[[list[Any]], Any]) -> Callable[[Node, list[Host]], Host]:
    def reduce(node: Node, given: list[Host]) -> Host:
        found = function(list(given[0].reshape(-1)))
        return host([found]) if node.attribute("keepdims", 1) else host(found)

    return reduce


def _range(node: Node, given: list[Host]) -> Host:
    return host(list(range(*(int(one.reshape(-1)[0]) for one in given))))


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Node, list[Host]], Host]:
    def apply(node: Node, given: list[Host]) -> Host:
        found = given[0]
        for other in given[1:]:
            found = _each(function, found, other)
        return found

    return apply


def _unary(function: Callable[[Any], Any]) -> Callable[[Node, list[Host]], Host]:
    return lambda node, given: _each(function, given[0])


ON_SIZES: dict[str, Callable[[Node, list[Host]], Host]] = {
    "Add": _binary(operator.add), "Sub": _binary(operator.sub), "Mul": _binary(operator.mul), "Div": _binary(_divided),
    "Mod": _binary(operator.mod), "Pow": _binary(operator.pow), "Min": _binary(min), "Max": _binary(max),
    "Sum": _binary(operator.add), "Equal": _binary(operator.eq), "Less": _binary(operator.lt),
    "LessOrEqual": _binary(operator.le), "Greater": _binary(operator.gt), "GreaterOrEqual": _binary(operator.ge),
    "And": _binary(lambda a, b: a and b), "Or": _binary(lambda a, b: a or b), "Not": _unary(operator.not_),
    "Neg": _unary(operator.neg), "Abs": _unary(abs), "Floor": _unary(math.floor), "Ceil": _unary(math.ceil),
    "Sqrt": _unary(lambda value: value**0.5), "Identity": lambda node, given: given[0], "Cast": _cast,
    "Gather": lambda node, given: host(given[0].take(given[1].astype(int), axis=node.attribute("axis", 0))),
    "Slice": _slice, "Concat": _concat, "Unsqueeze": _unsqueezed, "Squeeze": _squeezed, "Range": _range,
    "Reshape": lambda node, given: given[0].reshape([int(size) for size in given[1]]),
    "Flatten": lambda node, given: given[0].reshape(1, -1),
    "Transpose": lambda node, given: given[0].transpose(node.attribute("perm")),
    "Where": lambda node, given: _each(lambda c, a, b: a if c else b, *given),
    "Expand": lambda node, given: given[0] * np.ones([int(size) for size in given[1]], dtype=object),
    "Tile": lambda node, given: np.tile(given[0], [int(size) for size in given[1]]),
    "Size": lambda node, given: host(given[0].size), "Shape": lambda node, given: host(list(given[0].shape)),
    "ReduceProd": _reduced(math.prod), "ReduceSum": _reduced(sum), "ReduceMax": _reduced(max),
    "ReduceMin": _reduced(min),
}  # fmt: skip

"""Recurrent layers as the operators that ONNX has for them, with weights that are stored as integers.

torch.onnx writes every step of plain ones, and takes the weights of the others apart and puts the gates together in
another order. Behind a dequantization that would be done in each call: here it is done to the integers.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from onnxscript.onnx_opset import opset18

from edgekit.lowering.onnx.values import constant, drop_unused_nodes, initializer

_OPERATORS = {"LSTM", "GRU", "RNN"}

op: Any = opset18  # its types want tensors where it takes numbers


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return what torch.onnx is to write for operations that it has no operator for."""
    aten = torch.ops.aten
    return {
        aten.rnn_tanh.input: functools.wraps(_rnn)(functools.partial(_rnn, "Tanh")),
        aten.rnn_relu.input: functools.wraps(_rnn)(functools.partial(_rnn, "Relu")),
    }


def _rnn(
    activation: str,
    input: Any,  # noqa: A002  # the operation's own name for it
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any]:
    """Write ``aten::rnn_tanh.input`` or ``aten::rnn_relu.input``, in inference."""
    count, each = 2 if bidirectional else 1, 4 if has_biases else 2
    hidden = int(hx.shape[2])
    steps = op.Transpose(input, perm=[1, 0, 2]) if batch_first else input
    last = []
    for layer in range(num_layers):
        sides = [params[(layer * count + side) * each : (layer * count + side + 1) * each] for side in range(count)]
        inputs, recurrent = (_stacked([one[place] for one in sides]) for place in range(2))
        options = {
            "initial_h": op.Slice(hx, [layer * count], [(layer + 1) * count], [0]),
            "direction": "bidirectional" if bidirectional else "forward",
            "activations": [activation] * count,
            "hidden_size": hidden,
        }
        given: tuple[Any, ...] = (steps, inputs, recurrent)
        if has_biases:
            given = (*given, _stacked([op.Concat(one[2], one[3], axis=0) for one in sides]))
        every, behind = op.RNN(*given, **options)
        # (steps, directions, batch, hidden) becomes (steps, batch, directions * hidden).
        steps = op.Reshape(op.Transpose(every, perm=[0, 2, 1, 3]), op.Constant(value_ints=[0, 0, count * hidden]))
        last.append(behind)
    result = op.Transpose(steps, perm=[1, 0, 2]) if batch_first else steps
    return result, last[0] if len(last) == 1 else op.Concat(*last, axis=0)


def _stacked(values: list[Any]) -> Any:
    parts = [op.Unsqueeze(value, [0]) for value in values]
    return parts[0] if len(parts) == 1 else op.Concat(*parts, axis=0)


def store_integers(graph: ir.Graph) -> None:
    """Let recurrent operators read dequantized weights as they are stored, in place."""
    for number, node in enumerate(list(graph)):
        for place in (1, 2) if node.op_type in _OPERATORS else ():
            found = _integers(node.inputs[place])
            if found is not None:
                node.replace_input_with(place, _floats(graph, node, f"r{number}_{place}", *found))
    drop_unused_nodes(graph)


def _integers(value: ir.Value | None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Return the integers and the scale of each of their rows that a value is; None if it is something else."""
    node = value.producer() if value is not None else None
    if node is None:
        return None
    if node.op_type == "DequantizeLinear" and node.attributes.get_int("axis", 1) == 0:
        steps, scale = node.inputs[:2]
        if steps is None or steps.const_value is None:
            return None
        return constant(steps), constant(scale)[:, None]
    first = _integers(node.inputs[0])
    if first is None:
        return None
    match node.op_type:
        case "Slice":
            start, end, axis = (int(constant(one).item()) for one in node.inputs[1:4])
            return (first[0][start:end], first[1][start:end]) if axis == 0 else None
        case "Unsqueeze":
            return first[0][None], first[1][None]
        case "Concat" if node.attributes.get_int("axis") == 0:
            parts = [_integers(one) for one in node.inputs]
            known = [one for one in parts if one is not None]
            each = (np.concatenate(one) for one in zip(*known, strict=True))
            return (next(each), next(each)) if len(known) == len(parts) else None
    return None


def _floats(
    graph: ir.Graph, reader: ir.Node, name: str, steps: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]
) -> ir.Value:
    """Return integers (directions, rows, columns) as floats.

    ONNX Runtime does this once, when it loads the file. A DequantizeLinear it would keep, and do in each call.
    """
    cast = ir.node("Cast", [initializer(graph, name, steps)], attributes={"to": ir.DataType.FLOAT})
    product = ir.node("Mul", [cast.outputs[0], initializer(graph, f"{name}_s", scale)])
    graph.insert_before(reader, [cast, product])
    return product.outputs[0]

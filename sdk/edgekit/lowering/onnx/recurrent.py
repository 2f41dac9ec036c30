"""Plain recurrent layers as the operator that ONNX has for them: torch.onnx writes every step of them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript.onnx_opset import opset18

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

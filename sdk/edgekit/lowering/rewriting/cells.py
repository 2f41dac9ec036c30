"""One step of a recurrent layer, as operations that XNNPACK takes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.weights import multiplied, weight_of
from edgekit.lowering.rewriting.writer import Writer, is_float, tensor_of
from edgekit.model.graph import arguments

_aten = torch.ops.aten
Add = Callable[..., fx.Node]
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
"""How many gates the cells of each kind have, the candidate included."""


def step(
    add: Add,
    kind: str,
    states: Sequence[fx.Node],
    inputs: Sequence[fx.Node],
    own: Sequence[fx.Node],
) -> list[fx.Node]:
    """Return the states behind one step, the output first.

    Args:
        add: Adds an operation and returns its node.
        kind: A key of ``GATES``.
        states: Those before it: the output (batch, hidden), and for an LSTM the cell.
        inputs: By gate, the products of the input with its weights, biases added.
        own: By gate, the products of the output before it, biases added where they are not in the inputs already.
    """
    if kind == "gru":
        reset, update = (add(_aten.sigmoid.default, add(_aten.add.Tensor, inputs[i], own[i])) for i in range(2))
        gated = add(_aten.mul.Tensor, reset, own[2])
        candidate = add(_aten.tanh.default, add(_aten.add.Tensor, inputs[2], gated))
        kept = add(_aten.mul.Tensor, update, add(_aten.sub.Tensor, states[0], candidate))
        return [add(_aten.add.Tensor, candidate, kept)]
    sums = [add(_aten.add.Tensor, *pair) for pair in zip(inputs, own, strict=True)]
    if kind != "lstm":
        return [add(_aten.tanh.default if kind == "tanh" else _aten.relu.default, sums[0])]
    enter, forget, leave = (add(_aten.sigmoid.default, sums[i]) for i in (0, 1, 3))
    kept = add(_aten.mul.Tensor, forget, states[1])
    cell = add(_aten.add.Tensor, kept, add(_aten.mul.Tensor, enter, add(_aten.tanh.default, sums[2])))
    return [add(_aten.mul.Tensor, leave, add(_aten.tanh.default, cell)), cell]


CELLS: dict[Any, str] = {
    _aten.lstm_cell.default: "lstm",
    _aten.gru_cell.default: "gru",
    _aten.rnn_tanh_cell.default: "tanh",
    _aten.rnn_relu_cell.default: "relu",
}
"""The operations of one step, and the kind of their cells."""


def cell(write: Writer, node: fx.Node) -> list[fx.Node] | None:
    """Write one step with its weights apart by gate: no piece must be cut out, at any batch."""
    given, kind = arguments(node), CELLS[node.target]
    states = list(given["hx"]) if isinstance(given["hx"], list | tuple) else [given["hx"]]
    weights = [weight_of(write.program, given[name]) for name in ("w_ih", "w_hh")]
    biases = [tensor_of(write.program, given[name]) for name in ("b_ih", "b_hh")]
    if weights[0] is None or weights[1] is None or not is_float(given["input"]):
        return None
    gates = GATES[kind]
    products = []
    for data, weight, bias in zip((given["input"], states[0]), weights, biases, strict=True):
        assert weight is not None
        offsets = [None] * gates if bias is None else bias.chunk(gates)
        parts = zip(weight.by_gate(gates), offsets, strict=True)
        products.append([multiplied(write, data, part, offset) for part, offset in parts])
    return step(write, kind, states, *products)

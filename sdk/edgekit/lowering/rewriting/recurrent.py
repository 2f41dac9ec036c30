"""Write recurrent layers as loops over time: one step is lowered, however many there are.

ExecuTorch decomposes an LSTM to every step of it: minutes of lowering, and a packed copy of the weights for each. Here
the inputs are multiplied for all steps at once, before the loop, and the loop's body is one delegate.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.fx.passes.infra.pass_base import PassResult

from edgekit.lowering.rewriting.cells import CELLS, GATES, Add, cell, step
from edgekit.lowering.rewriting.weights import (
    Weight,
    multiplied,
    multiplied_in_body,
    read_rows,
    transposed,
    weight_of,
)
from edgekit.lowering.rewriting.writer import Writer, is_fixed, is_float, shape, tensor_of
from edgekit.model.graph import arguments, evaluate

_aten = torch.ops.aten
LAYERS = {
    _aten.lstm.input: "lstm",
    _aten.gru.input: "gru",
    _aten.rnn_tanh.input: "tanh",
    _aten.rnn_relu.input: "relu",
}
"""The recurrent layers, and the kind of their cells."""


@dataclass(frozen=True, kw_only=True)
class _Direction:
    """One direction of one layer: its weights by gate, (hidden, inputs) and (hidden, hidden), and its biases."""

    inputs: tuple[Weight, ...]
    hidden: tuple[Weight, ...]
    input_biases: tuple[Tensor, ...]
    hidden_biases: tuple[Tensor | None, ...]
    reverse: bool


def loop_over_time(write: Writer) -> None:
    """Write each recurrent layer with known weights and fixed sizes as a loop, and each single step by its gates."""
    for node in list(write.program.graph.nodes):
        if node.op == "call_function" and node.target in CELLS:
            write.at(node)
            with write.program.graph.inserting_before(node):
                after = cell(write, node)
            if after is not None:
                _hand_on(write, node, after)
        if node.op != "call_function" or node.target not in LAYERS:
            continue
        given = arguments(node)
        directions = _directions(write, LAYERS[node.target], given)
        states = given["hx"] if isinstance(given["hx"], list | tuple) else [given["hx"]]
        if directions is None or not is_fixed(given["input"], *states) or not is_float(given["input"]):
            continue
        write.at(node)
        with write.program.graph.inserting_before(node):
            results = _layers(write, LAYERS[node.target], given, states, directions)
        _hand_on(write, node, results)
    write.finish()


def _hand_on(write: Writer, node: fx.Node, results: list[fx.Node]) -> None:
    """Let the readers of a node read its results."""
    if isinstance(node.meta["val"], Tensor):
        with write.program.graph.inserting_before(node):
            write.put(node, write.reshape(results[0], shape(results[0])))
        return
    for user in list(node.users):
        assert user.target is operator.getitem
        write.at(user)
        with write.program.graph.inserting_before(user):
            place: Any = user.args[1]
            result = results[place]
            write.put(user, write.reshape(result, shape(result)))
    node.graph.erase_node(node)  # for its dropout, elsewhere, it does not count as dead code


def _layers(
    write: Writer, kind: str, given: dict[str, Any], states: Sequence[fx.Node], layers: list[list[_Direction]]
) -> list[fx.Node]:
    """Return the outputs of all steps of the last layer, and each state behind the last step, stacked by layer."""
    data = write.permute(given["input"], [1, 0, 2]) if given["batch_first"] else given["input"]
    last: list[list[fx.Node]] = [[] for _ in states]
    for number, directions in enumerate(layers):
        outputs = []
        for place, direction in enumerate(directions):
            index = number * len(directions) + place
            start = [_row(write, state, index) for state in states]
            behind, steps = _loop(write, kind, data, start, direction)
            for found, one in zip(last, behind, strict=True):
                found.append(write.reshape(one, [1, *shape(one)]))
            outputs.append(steps)
        data = write.cat(outputs, 2)
    result = write.permute(data, [1, 0, 2]) if given["batch_first"] else data
    return [result, *(write.cat(found, 0) for found in last)]


def _row(write: Writer, state: fx.Node, index: int) -> fx.Node:
    """Return the state that one direction of one layer starts with, (batch, hidden)."""
    _, batch, hidden = shape(state)
    if state.target in (_aten.zeros.default, _aten.zeros_like.default, _aten.new_zeros.default):
        return write.constant(f"zeros_{batch}_{hidden}", torch.zeros(batch, hidden))
    return write.reshape(write.slice(state, 0, index, index + 1), [batch, hidden])


def _loop(
    write: Writer, kind: str, data: fx.Node, start: list[fx.Node], direction: _Direction
) -> tuple[list[fx.Node], fx.Node]:
    """Return the states behind the last step, and the output of each step, (time, batch, hidden)."""
    if shape(data)[0] == 1:
        return _single(write, kind, data, start, direction)
    if direction.reverse:
        data = write(_aten.flip.default, data, [0])
    added = [
        multiplied(write, data, weight, bias)
        for weight, bias in zip(direction.inputs, direction.input_biases, strict=True)
    ]
    held = [
        [None if one is None else write.unnamed(one) for one in (*transposed(weight), bias)]
        for weight, bias in zip(direction.hidden, direction.hidden_biases, strict=True)
    ]
    more = [one for gate in held for one in gate if one is not None]
    body, values = _body(kind, start, added, held)
    module = write.program.graph_module
    name = f"step_{len(list(module.children()))}"
    module.add_submodule(name, body)
    graph = write.program.graph
    states = len(start)
    steps = values[states].new_empty((shape(data)[0], *values[states].shape))
    attribute = graph.get_attr(name)
    loop = graph.call_function(torch.ops.higher_order.scan, (attribute, start, added, tuple(more)))
    loop.meta = {**added[0].meta, "val": (*values[:states], steps)}
    found = []
    for place, value in enumerate(loop.meta["val"]):
        part = graph.call_function(operator.getitem, (loop, place))
        part.meta = {**added[0].meta, "val": value}
        found.append(part)
    steps_node = found[states]
    if direction.reverse:
        steps_node = write(_aten.flip.default, steps_node, [0])
    return found[:states], steps_node


def _single(
    write: Writer, kind: str, data: fx.Node, start: list[fx.Node], direction: _Direction
) -> tuple[list[fx.Node], fx.Node]:
    """Return what `_loop` does where there is one step: no loop is needed, and nothing is outside of a delegate."""
    data = write.reshape(data, shape(data)[1:])
    given = (data, direction.inputs, direction.input_biases), (start[0], direction.hidden, direction.hidden_biases)
    products = [
        [multiplied(write, source, weight, bias) for weight, bias in zip(weights, biases, strict=True)]
        for source, weights, biases in given
    ]
    after = step(write, kind, start, *products)
    return after, write.reshape(after[0], [1, *shape(after[0])])


def _body(
    kind: str, start: list[fx.Node], added: list[fx.Node], held: list[list[fx.Node | None]]
) -> tuple[fx.GraphModule, list[Any]]:
    """Return one step, and the values that it gives: the new states, and the output.

    It takes the states, the products of this step's input by gate, and by gate the weight, the scales and zero points
    and the bias of the output before it, as far as there are any.
    """
    graph = fx.Graph()

    def placeholder(name: str, value: Any) -> fx.Node:
        node = graph.placeholder(name)
        node.meta["val"] = value
        return node

    def add(target: Callable[..., Any], *args: Any, **keywords: Any) -> fx.Node:
        node = graph.call_function(target, args, keywords)
        node.meta["val"] = evaluate(node)
        return node

    states = [placeholder(f"state_{i}", node.meta["val"]) for i, node in enumerate(start)]
    inputs = [placeholder(f"added_{i}", node.meta["val"][0]) for i, node in enumerate(added)]
    adding: Add = add
    own = []
    for i, gate in enumerate(held):
        names = enumerate(gate)
        weight, scale, zero, bias = (
            None if node is None else placeholder(f"held_{i}_{j}", node.meta["val"]) for j, node in names
        )
        own.append(multiplied_in_body(adding, states[0], (weight, scale, zero), bias))
    after = step(adding, kind, states, inputs, own)
    results = [*after, add(_aten.clone.default, after[0])]
    graph.output(tuple(results))
    return fx.GraphModule({}, graph), [node.meta["val"] for node in results]


def _directions(write: Writer, kind: str, given: dict[str, Any]) -> list[list[_Direction]] | None:
    """Return what is known of each direction of each layer; None if a weight is computed."""
    values = [weight_of(write.program, node) for node in given["params"]]
    known = [value for value in values if value is not None]
    count = 2 if given["bidirectional"] else 1
    each = 4 if given["has_biases"] else 2
    if len(known) != len(values) or len(known) != each * count * given["num_layers"]:
        return None  # a projection of the state has weights of its own
    layers = []
    for layer in range(given["num_layers"]):
        directions = []
        for place in range(count):
            first = (layer * count + place) * each
            directions.append(_direction(kind, known[first : first + each], place == 1))
        layers.append(directions)
    return layers


def _direction(kind: str, values: list[Weight], reverse: bool) -> _Direction:
    gates = GATES[kind]
    inputs, hidden = (tuple(value.by_gate(gates)) for value in values[:2])
    zero = torch.zeros(len(values[0].values))
    first, second = (bias.chunk(gates) for bias in ([one.values for one in values[2:]] or [zero, zero]))
    # Both are added at once, but for the candidate of a GRU, where a gate stands between them.
    apart = {2} if kind == "gru" else set()
    return _Direction(
        inputs=inputs,
        hidden=hidden,
        input_biases=tuple(one if i in apart else one + second[i] for i, one in enumerate(first)),
        hidden_biases=tuple(second[i] if i in apart else None for i in range(gates)),
        reverse=reverse,
    )


def has_recurrent_layers(program: ExportedProgram) -> bool:
    """Whether a program has recurrent layers, whose loops want fixed sizes."""
    return any(node.target in LAYERS for node in program.graph.nodes)


def inline_weights(program: ExportedProgram) -> Callable[[fx.GraphModule], PassResult]:
    """Return a pass that puts the weights that loops read into their bodies: a delegate takes only those it holds.

    Args:
        program: The program that the weights are found in, by the names of its inputs.
    """
    held = {node.name: tensor_of(program, node) for node in program.graph.find_nodes(op="placeholder")}

    def inline(module: fx.GraphModule) -> PassResult:
        for node in module.graph.find_nodes(op="call_function", target=torch.ops.higher_order.scan):
            given: tuple[Any, ...] = node.args
            attribute, start, inputs, more = given
            body: Any = module.get_submodule(attribute.target)
            places = body.graph.find_nodes(op="placeholder")[len(start) + len(inputs) :]
            for number, (place, source) in enumerate(zip(places, more, strict=True)):
                body.register_buffer(f"held_{number}", held[source.name])
                with body.graph.inserting_before(place):
                    weight = body.graph.get_attr(f"held_{number}")
                weight.meta = dict(place.meta)
                place.replace_all_uses_with(weight)
                body.graph.erase_node(place)
            read_rows(body)
            output = body.graph.output_node()
            # A copy was needed while torch looked for outputs that are the same; from here on there is no such rule.
            output.args = (tuple(one.args[0] if "clone" in str(one.target) else one for one in output.args[0]),)
            body.graph.eliminate_dead_code()
            body.recompile()
            node.args = (attribute, start, inputs, ())
        read_rows(module)
        module.graph.eliminate_dead_code()
        module.recompile()
        return PassResult(module, True)

    return inline

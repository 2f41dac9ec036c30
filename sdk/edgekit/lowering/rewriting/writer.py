"""Write a node of a program anew, as other operations that compute the same."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch._subclasses import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

from edgekit.model.graph import add_call, evaluate

_aten = torch.ops.aten
# The most dimensions that XNNPACK's tensors have.
MOST_DIMENSIONS = 6
_HELD = {InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR}
_ADDED = "edgekit_added"

Rewrite = Callable[["Writer", fx.Node], fx.Node | None]


class Writer:
    """Adds operations in front of a node, whose values are known at once, and puts their result in its place."""

    def __init__(self, program: ExportedProgram) -> None:
        """Take the program that is written to, in place."""
        self.program = program
        self._node: fx.Node | None = None
        self._changed: set[fx.Node] = set()
        self._constants: dict[tuple[str, object], fx.Node] = {}

    def rewrite(self, table: dict[Any, Rewrite]) -> None:
        """Let each node of a target in the table be written anew, or left as it is where None is returned."""
        for node in list(self.program.graph.nodes):
            if node.op == "call_function" and node.target in table:
                self._node = node
                with self.program.graph.inserting_before(node):
                    result = table[node.target](self, node)
                if result is not None:
                    self.put(node, result)
        self.finish()

    def put(self, node: fx.Node, result: fx.Node) -> None:
        """Put a result in the place of a node, which keeps its name: it may be an output, known by it."""
        if result.op != "call_function" or result.users or not result.meta.get(_ADDED):
            with node.graph.inserting_before(node):
                result = add_call(node, _aten.clone.default, result)
        node.target, node.args, node.kwargs = result.target, result.args, result.kwargs
        node.meta["val"] = result.meta["val"]
        self._changed.add(node)
        node.graph.erase_node(result)

    def finish(self) -> None:
        """Drop what nobody reads any more, and work out again the memory layout of what follows a change."""
        graph = self.program.graph
        graph.eliminate_dead_code()
        for node in graph.nodes:
            follows = any(source in self._changed for source in node.all_input_nodes)
            if node.op == "call_function" and follows and isinstance(node.meta.get("val"), Tensor):
                if node.target is _aten.view.default and node not in self._changed:
                    node.target = _aten.reshape.default  # what it views may lie otherwise now
                node.meta["val"] = evaluate(node)
                self._changed.add(node)
        self._changed.clear()
        self.program.graph_module.recompile()

    def __call__(self, target: OpOverload, *args: Any, **kwargs: Any) -> fx.Node:
        """Add an operation on tensors that are nodes."""
        assert self._node is not None
        added = add_call(self._node, target, *args, **kwargs)
        added.meta[_ADDED] = True
        return added

    def at(self, node: fx.Node) -> None:
        """Let what is added from now on come from another node."""
        self._node = node

    # What the rewrites are made of, in the forms that XNNPACK takes.

    def reshape(self, data: fx.Node, sizes: Sequence[Any]) -> fx.Node:
        """Return data in another shape, of which one size may be symbolic; it is inferred."""
        return self(_aten.reshape.default, data, [size if isinstance(size, int) else -1 for size in sizes])

    def permute(self, data: fx.Node, order: Sequence[int]) -> fx.Node:
        """Return data with its dimensions in another order."""
        return data if list(order) == list(range(len(order))) else self(_aten.permute.default, data, list(order))

    def to_last(self, data: fx.Node, axis: int) -> fx.Node:
        """Return data with one dimension exchanged with the last."""
        order = list(range(rank(data)))
        order[axis], order[-1] = order[-1], order[axis]
        return self.permute(data, order)

    def slice(self, data: fx.Node, axis: int, start: int, end: int) -> fx.Node:
        """Return a part of data along a dimension."""
        whole = start == 0 and end == shape(data)[axis]
        return data if whole else self(_aten.slice.Tensor, data, axis, start, end)

    def cat(self, parts: Sequence[fx.Node], axis: int) -> fx.Node:
        """Return parts behind each other."""
        return parts[0] if len(parts) == 1 else self(_aten.cat.default, list(parts), axis)

    def add(self, left: fx.Node, right: fx.Node | float) -> fx.Node:
        """Return a sum."""
        return self(_aten.add.Tensor, left, self.beside(left, right))

    def sub(self, left: fx.Node, right: fx.Node) -> fx.Node:
        """Return a difference."""
        return self(_aten.sub.Tensor, left, right)

    def mul(self, left: fx.Node, right: fx.Node | float) -> fx.Node:
        """Return a product."""
        return self(_aten.mul.Tensor, left, self.beside(left, right))

    def beside(self, data: fx.Node, number: fx.Node | float) -> fx.Node | float:
        """Return a number as it stands beside data of four dimensions: as a constant of as many, of its own.

        Beside anything else XNNPACK's passes turn a picture that lies in memory by its channels, and back.
        """
        if isinstance(number, fx.Node) or rank(data) != 4:
            return number
        return self.unnamed(torch.full((1, 1, 1, 1), float(number)))

    def square(self, data: fx.Node) -> fx.Node:
        """Return a square: as a product of integers with themselves it would be taken for an int8 operation."""
        return self(_aten.pow.Tensor_Scalar, data, 2)

    def sum_last(self, data: fx.Node, factor: float = 1.0) -> fx.Node:
        """Return the sum over the last dimension, which is kept, as a matrix product with a constant.

        XNNPACK has no sums but global average pooling, which wants four dimensions and another memory layout.
        """
        size = shape(data)[-1]
        weight = self.constant(f"sum_{size}_{factor}", torch.full((1, size), factor))
        return self(_aten.linear.default, data, weight)

    def constant(self, name: str, value: Tensor) -> fx.Node:
        """Return a constant of the program; the same name stands for the same value."""
        key = (name, value.dtype)
        if key not in self._constants:
            self._constants[key] = add_constant(self.program, value)
        return self._constants[key]

    def unnamed(self, value: Tensor) -> fx.Node:
        """Return a constant that stands for itself alone."""
        return add_constant(self.program, value)


def shape(node: fx.Node) -> list[Any]:
    """Return the sizes of a node's value."""
    return list(node.meta["val"].shape)


def rank(node: fx.Node) -> int:
    """Return the number of dimensions of a node's value."""
    return len(node.meta["val"].shape)


def is_fixed(*nodes: fx.Node) -> bool:
    """Whether all sizes are numbers: XNNPACK cuts pieces only out of such tensors."""
    return all(isinstance(size, int) for node in nodes for size in shape(node))


def is_float(node: fx.Node) -> bool:
    """Whether a node gives float32 values, which XNNPACK computes with."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dtype is torch.float32


def tensor_of(program: ExportedProgram, node: object) -> Tensor | None:
    """Return the value of a parameter, buffer or constant; None for any other node."""
    if not isinstance(node, fx.Node) or node.op != "placeholder":
        return None
    signature = program.graph_signature
    name = signature.inputs_to_parameters.get(node.name) or signature.inputs_to_buffers.get(node.name)
    if name is not None and name in signature.buffers_to_mutate.values():
        return None
    if name is None:
        name = signature.inputs_to_lifted_tensor_constants.get(node.name)
    held = program.state_dict.get(name, program.constants.get(name)) if name is not None else None
    return held.detach() if isinstance(held, Tensor) else None


def add_constant(program: ExportedProgram, value: Tensor) -> fx.Node:
    """Add a constant tensor to a program and return its node."""
    graph, specs = program.graph, program.graph_signature.input_specs
    place = next((i for i, spec in enumerate(specs) if spec.kind is InputKind.USER_INPUT), len(specs))
    placeholders = graph.find_nodes(op="placeholder")
    first = placeholders[place] if place < len(placeholders) else next(iter(graph.nodes))
    number = len(specs)
    while (name := f"added_{number}") in program.state_dict or name in program.constants:
        number += 1
    with graph.inserting_before(first):
        node: fx.Node = graph.placeholder(f"b_{name}")  # the name that a round of decompositions gives it
    value = value.detach().clone(memory_format=torch.contiguous_format)
    node.meta["val"] = _fake_mode(program).from_tensor(value, static_shapes=True)
    specs.insert(place, InputSpec(InputKind.BUFFER, TensorArgument(node.name), name, persistent=True))
    program.state_dict[name] = value
    return node


def drop_unused(program: ExportedProgram) -> None:
    """Drop the parameters, buffers and constants that nothing reads any more: each would be in the file."""
    specs, mutated = program.graph_signature.input_specs, program.graph_signature.buffers_to_mutate.values()
    nodes = {node.name: node for node in program.graph.find_nodes(op="placeholder")}
    for spec in list(specs):
        if spec.kind not in _HELD or spec.target in mutated or nodes[spec.arg.name].users:
            continue
        specs.remove(spec)
        program.graph.erase_node(nodes[spec.arg.name])
        if not any(other.target == spec.target for other in specs):
            program.state_dict.pop(str(spec.target), None)
            program.constants.pop(str(spec.target), None)
    program.graph_module.recompile()


def _fake_mode(program: ExportedProgram) -> Any:
    for node in program.graph.nodes:
        values = node.meta.get("val")
        for value in values if isinstance(values, list | tuple) else [values]:
            if isinstance(value, FakeTensor):
                return value.fake_mode
    raise AssertionError("a program without tensors")

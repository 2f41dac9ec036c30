"""Questions to the nodes of a captured or quantized graph."""

import operator
import re
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch._ops import OpOverload

from edgekit.model.recurrence import traced_by_shape

# What only moves, views or measures data is no compute operation.
_DATA_MOVEMENT = {
    "alias", "clone", "contiguous", "detach", "expand", "flatten", "permute", "reshape", "select", "slice", "split",
    "split_with_sizes", "chunk", "squeeze", "sym_size", "t", "to", "transpose", "unflatten", "unsqueeze", "view",
}  # fmt: skip
_GATHERS = {"embedding", "index", "index_select"}
_FUSED = {"relu", "relu_", "relu6", "hardtanh", "hardtanh_"}
_aten = torch.ops.aten
_RECURRENT = {
    _aten.lstm.input, _aten.gru.input, _aten.rnn_tanh.input, _aten.rnn_relu.input,
    _aten.lstm_cell.default, _aten.gru_cell.default, _aten.rnn_tanh_cell.default, _aten.rnn_relu_cell.default,
}  # fmt: skip
_WEIGHTED = {_aten.conv1d.default, _aten.conv2d.default, _aten.linear.default}
_FRAME = re.compile(r'File "(.+)", line (\d+), in ')
_TORCH = str(Path(torch.__file__).parent)


def evaluate(node: fx.Node) -> Any:
    """Return the value of a call as the values of its inputs, on fake tensors, have it.

    By torch's decompositions in Python: those in C++ ask a symbolic size for its number, which fixes it for everybody.
    """
    assert callable(node.target)
    arguments, keywords = fx.map_arg((node.args, node.kwargs), lambda operand: operand.meta["val"])
    with enable_python_dispatcher(), traced_by_shape() if is_recurrent(node) else nullcontext():
        return node.target(*arguments, **keywords)


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return all arguments of a node by their names in the schema, defaults included."""
    assert isinstance(node.target, OpOverload)
    found: dict[str, Any] = {}
    for place, argument in enumerate(node.target._schema.arguments):
        default = argument.default_value if argument.has_default_value() else None
        given: Any = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, default)
        found[argument.name] = given
    return found


def add_call(origin: fx.Node, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
    """Add a node that comes from the same module as another one, its value evaluated on fake tensors."""
    node = origin.graph.call_function(target, args, kwargs)
    node.meta = {**origin.meta, "val": evaluate(node)}
    return node


def add_before(node: fx.Node, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
    """Add a call, as `add_call` does, in front of a node."""
    with node.graph.inserting_before(node):
        return add_call(node, target, *args, **kwargs)


def readers(node: fx.Node) -> list[fx.Node]:
    """Return who takes one of the several values that a node gives, and is read itself."""
    return [user for user in node.users if user.users]


def reads_values_alone(node: fx.Node) -> bool:
    """Whether of the values and the places that a node gives nobody reads the places."""
    return all(user.target is operator.getitem and user.args[1] == 0 for user in readers(node))


def put_values(node: fx.Node, target: Any, *args: Any) -> None:
    """Let a call stand for the values that a node gives beside places, which nobody reads; the node is gone then."""
    read = readers(node)
    for user in list(node.users):
        if user in read:  # changed in place: the node may be an output, known by its name
            user.target, user.args = target, args
        else:
            node.graph.erase_node(user)
    node.graph.erase_node(node)


def is_quantize(node: fx.Node) -> bool:
    """Whether the node turns float values into integers."""
    return _quant_name(node).startswith(("quantize_per_", "quantize_affine"))


def is_dequantize(node: fx.Node) -> bool:
    """Whether the node turns integers into float values."""
    return _quant_name(node).startswith(("dequantize_per_", "dequantize_affine"))


def is_dynamic(node: fx.Node) -> bool:
    """Whether the node is a quantization whose parameters are chosen while the program runs."""
    parameters = [source for source in node.all_input_nodes if source.target is operator.getitem]
    return any(_quant_name(source).startswith("choose_qparams") for one in parameters for source in one.all_input_nodes)


def is_table_read(node: fx.Node) -> bool:
    """Whether the node reads rows of a table that is stored as integers of 8 bits, or of 4 in pairs."""
    value = node.meta.get("val")
    known = node.op == "call_function" and operation(node) in _GATHERS
    return known and isinstance(value, torch.Tensor) and value.dtype == torch.int8


def is_recurrent(node: fx.Node) -> bool:
    """Whether the node is a recurrent layer, or one step of it."""
    return node.op == "call_function" and node.target in _RECURRENT


def reads_integers(node: fx.Node) -> bool:
    """Whether the node computes in float with what is stored as integers: rows of a table, a recurrent layer's weights.

    See `is_table_read`.
    """
    return is_table_read(node) or (is_recurrent(node) and any(map(is_dequantize, node.all_input_nodes)))


def is_compute(node: fx.Node) -> bool:
    """Whether the node computes: no quantization, no data movement, no bookkeeping."""
    if node.op != "call_function" or node.target is operator.getitem or _quant_name(node):
        return False
    if isinstance(node.meta.get("val"), int | torch.SymInt):
        return False  # arithmetic on sizes
    name = operation(node)
    return name.removesuffix("_copy") not in _DATA_MOVEMENT and not name.startswith(("sym_", "_assert", "_guards"))


def operation(node: fx.Node) -> str:
    """Return the short name of the node's operation, for instance ``conv2d``."""
    wrapped = getattr(node.target, "_op", None)  # ExecuTorch wraps an operation as one of its edge dialect
    for target in (node.target, wrapped):
        if isinstance(target, torch._ops.OpOverload):
            return target._opname
    return getattr(node.target, "__name__", str(node.target))


def module_path(node: fx.Node) -> str:
    """Return the path of the module that the node came from, for instance ``features.3.se.fc1``."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    return path.removeprefix("L['self'].").removeprefix("L['self']")


def line(node: fx.Node) -> str:
    """Return the innermost line outside of torch that a node came from, for instance ``model.py:12``; empty if unknown.

    A layer of ``torch.nn`` is at the line that calls it.
    """
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [(file, number) for file, number in frames if not file.startswith(_TORCH)]
    return f"{Path(own[-1][0]).name}:{own[-1][1]}" if own else ""


def place(node: fx.Node, *, with_line: bool = False) -> str:
    """Return the operation, the module that it is in, and the line: ``conv2d (features.3, model.py:12)``."""
    where = ", ".join(filter(None, (module_path(node), line(node) if with_line else "")))
    return f"{operation(node)} ({where})" if where else operation(node)


def operations(graph: fx.Graph) -> list[fx.Node]:
    """Return the nodes that compute, without clamps that are part of the operation before them."""
    return [node for node in graph.nodes if is_compute(node) and not _is_fused_activation(node)]


def int8_fraction(graph: fx.Graph, int8_operations: frozenset[str]) -> float:
    """Return the share of compute nodes that a runtime can run in int8.

    Args:
        graph: A quantized graph.
        int8_operations: The operations that the runtime has int8 kernels for; another operation between a
            dequantize and a quantize node computes in float.
    """
    nodes = operations(graph)
    return sum(_runs_int8(node, int8_operations) for node in nodes) / len(nodes) if nodes else 0.0


def in_float(graph: fx.Graph, int8_operations: frozenset[str], kept: Collection[str] = ()) -> dict[fx.Node, str]:
    """Return the compute operations that a runtime runs in float, each with the reason.

    Args:
        graph: A quantized graph.
        int8_operations: As in `int8_fraction`.
        kept: Paths of the modules that settings keep in float.
    """
    nodes = [node for node in operations(graph) if not _runs_int8(node, int8_operations)]
    return {node: why_float(node, int8_operations, kept) for node in nodes}


def why_float(node: fx.Node, int8_operations: frozenset[str], kept: Collection[str]) -> str:
    """Return why an operation computes in float: see `in_float`."""
    if any(f"{module_path(node)}.".startswith(f"{path}.") for path in kept):
        return "the settings or fallback keep it in float"
    if operation(node) not in int8_operations:
        return "there is no int8 kernel for it"
    if _has_float_weights(node):
        if node.all_input_nodes[0].op != "call_function":
            return "its weights stay float, by first_layer of [quantize]"
        last = any(user.op == "output" for user in _users_behind_activation(node))
        return f"its weights stay float{', by last_layer of [quantize]' if last else ''}"
    data = [source for source in node.all_input_nodes if source.op == "call_function"]
    float_inputs = [operation(source) for source in data if not is_dequantize(source)]
    if float_inputs:
        return f"it reads float from {', '.join(dict.fromkeys(float_inputs))}"
    readers = [user for user in _users_behind_activation(node) if not is_quantize(user)]
    named = dict.fromkeys("the output" if user.op == "output" else operation(user) for user in readers)
    if not named:
        return "the runtime has an int8 kernel for its kind, and none for this one"
    return f"{', '.join(named)} reads its result in float"


def _is_fused_activation(node: fx.Node) -> bool:
    """Whether the node is a clamp that becomes the output range of the operation before it."""
    return operation(node) in _FUSED and is_compute(node.all_input_nodes[0])


def _runs_int8(node: fx.Node, int8_operations: frozenset[str]) -> bool:
    if is_table_read(node):
        return True
    data = [source for source in node.all_input_nodes if source.op == "call_function"]
    if operation(node) not in int8_operations or not all(map(is_dequantize, data)) or _has_float_weights(node):
        return False
    # Quantized when they are there, the inputs are integers and the outputs float.
    return any(map(is_dynamic, data)) or all(map(is_quantize, _users_behind_activation(node)))


def _has_float_weights(node: fx.Node) -> bool:
    """Whether a layer's weights are parameters as they were trained; a bias always is."""
    weight = node.args[1] if node.target in _WEIGHTED and len(node.args) > 1 else None
    return isinstance(weight, fx.Node) and weight.op in ("get_attr", "placeholder")


def _users_behind_activation(node: fx.Node) -> list[fx.Node]:
    users: list[fx.Node] = []
    for user in node.users:
        users += user.users if operation(user) in _FUSED else [user]
    return users


def _quant_name(node: fx.Node) -> str:
    if node.op == "call_function" and getattr(node.target, "namespace", "") in ("quantized_decomposed", "torchao"):
        return operation(node)
    return ""

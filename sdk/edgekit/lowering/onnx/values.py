"""Values of an ONNX graph: constants that are read, and initializers that are written."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir


def to_unsigned(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers without a sign that lie as far above the least of their type."""
    kind = np.iinfo(values.dtype)
    return (values.astype(np.int32) - kind.min).astype(f"uint{kind.bits}")


def dequantize_of(value: ir.Value | None) -> ir.Node | None:
    """Return the node that a value comes from, if that is a DequantizeLinear."""
    producer = value.producer() if value is not None else None
    return producer if producer is not None and producer.op_type == "DequantizeLinear" else None


def constant(value: ir.Value | None) -> npt.NDArray[Any]:
    """Return what an initializer holds.

    Raises:
        ValueError: If the value is computed.
    """
    if value is None or value.const_value is None:
        raise ValueError(f"{value} is not a constant")
    return value.const_value.numpy()


def initializer(graph: ir.Graph, name: str, array: npt.NDArray[Any]) -> ir.Value:
    """Add an initializer under a name that nothing else has."""
    unique, count = name, 1
    while unique in graph.initializers:
        unique, count = f"{name}_{count}", count + 1
    tensor = ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=unique)
    value = ir.Value(name=unique, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape))
    graph.register_initializer(value)
    return value


def drop_unused_initializers(graph: ir.Graph) -> None:
    """Remove initializers that nothing reads."""
    used = {value for node in graph for value in node.inputs} | set(graph.outputs)
    for name, value in list(graph.initializers.items()):
        if value not in used:
            del graph.initializers[name]


def share_weights(graph: ir.Graph) -> None:
    """Let what dequantizes the same weights read one initializer, in place.

    Their scales and zero points stay apart: ONNX Runtime refuses nodes that share those.
    """
    known: dict[tuple[object, ...], ir.Value] = {}
    for node in graph:
        value = node.inputs[0] if node.op_type == "DequantizeLinear" else None
        if value is None or value.const_value is None:
            continue
        array = constant(value)
        if array.ndim > 1:
            node.replace_input_with(0, known.setdefault((array.dtype, array.shape, array.tobytes()), value))


def drop_unused_nodes(graph: ir.Graph) -> None:
    """Remove nodes whose outputs nobody reads, in place."""
    outputs = set(graph.outputs)
    for node in reversed(list(graph)):
        if not any(value.uses() or value in outputs for value in node.outputs):
            graph.remove(node, safe=True)

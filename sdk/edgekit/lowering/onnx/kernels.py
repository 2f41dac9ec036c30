"""Which operations of a program ONNX Runtime computes in float, by the kernels that it chose for the file."""

import ast
from collections.abc import Collection, Mapping

import onnx
import onnx_ir as ir
from torch import fx

from edgekit.model import graph
from edgekit.model.kernels import ANY_TYPE

_SCOPES = "pkg.torch.onnx.name_scopes"
_SIGN = "edgekit:"
# What ONNX Runtime has int8 kernels for on CPUs, between a DequantizeLinear and a QuantizeLinear.
_INT8 = frozenset({
    "conv1d", "conv2d", "conv3d", "linear", "addmm", "mm", "matmul", "bmm", "add", "mul", "sigmoid", "leaky_relu",
    "softmax", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "cat", "where", "max_pool1d",
    "max_pool2d",
})  # fmt: skip


def sign(program: fx.Graph) -> None:
    """Write each node's name where an exporter keeps it whatever it decomposes the node to: as its innermost module."""
    for node in program.nodes:
        if node.op == "call_function":
            stack = node.meta.get("nn_module_stack") or {}
            node.meta["nn_module_stack"] = {**stack, f"{_SIGN}{node.name}": (f"{_SIGN}{node.name}", _SIGN)}


def origins(model: ir.Model) -> dict[ir.Value, str]:
    """Return for what each node of a fresh export of a signed graph gives the name of the node that it came from."""
    found: dict[ir.Value, str] = {}
    for node in model.graph:
        scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
        signs = [scope.removeprefix(_SIGN) for scope in scopes if scope.startswith(_SIGN)]
        if signs:
            found |= dict.fromkeys(node.outputs, signs[-1])
    return found


def in_float(
    optimized: onnx.GraphProto,
    moving: Collection[str],
    named: Mapping[str, str],
    program: fx.Graph,
    kept: Collection[str],
) -> dict[fx.Node, str]:
    """Return the operations of a static int8 program that ONNX Runtime computes in float, each with the reason.

    Args:
        optimized: The graph as ONNX Runtime runs it.
        moving: Kinds of nodes that only move or convert data.
        named: By the name of a value in the file, that of the program's node that gives it.
        program: The quantized program.
        kept: Paths of the modules that settings keep in float.
    """
    nodes = {node.name: node for node in program.nodes}
    own = {node.name for node in graph.operations(program)}
    found: set[str] = set()
    for node in _float_nodes(optimized):
        origin = nodes.get(named.get(node.output[0], ""))
        while origin is not None and origin.name not in own and graph.is_compute(origin):
            origin = origin.all_input_nodes[0]  # a clamp that is part of the operation before it
        if node.op_type not in moving and origin is not None and origin.name in own:
            found.add(origin.name)
    return {nodes[name]: graph.why_float(nodes[name], _INT8, kept) for name in nodes if name in found}


def _float_nodes(optimized: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that compute with float32: neither with integers of 8 bits nor with sizes."""
    kinds = {item.name: item.data_type for item in optimized.initializer}
    floats = {name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT}
    floats |= {one.name for one in optimized.input if one.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    integers = set(kinds) - floats
    found = []
    for node in optimized.node:
        first = node.input[0] if node.input else ""
        if node.op_type in ("QuantizeLinear", "Shape", "ArgMax", "NonZero", "Size") or node.op_type.startswith("Q"):
            integers |= set(node.output)
        elif (node.op_type in ANY_TYPE and first in integers) or (node.input and integers.issuperset(node.input)):
            if node.op_type != "DequantizeLinear":
                integers |= set(node.output)
        elif node.op_type != "DequantizeLinear":
            found.append(node)
    return found

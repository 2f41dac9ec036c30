"""ONNX files: what they are allowed to be, and the module that computes them."""

from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from edgekit.errors import SourceError
from edgekit.model.onnxfiles.process import OnnxProcess
from edgekit.model.outputs import identifiers
from edgekit.model.programs.onnx.elementwise import DTYPES
from edgekit.model.programs.onnx.fusion import with_bias
from edgekit.model.programs.onnx.layers import Weights, layer_of
from edgekit.model.programs.onnx.module import OPERATORS, Graph, OnnxModule, Paths, put, small, with_signature
from edgekit.model.programs.onnx.node import Host, Node, OnnxError, host
from edgekit.model.programs.onnx.proof import check_equal
from edgekit.model.programs.program import Axes, Program, limited
from edgekit.spec import Dimension, DType, TensorSpec

_AGAIN = "Export the float model again: torch.onnx.export(model, args, path)."
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_LAYERS = {"Conv", "ConvTranspose", "BatchNormalization", "LSTM", "GRU", "RNN"}
_KNOWN = {*OPERATORS, *_LAYERS, "Constant"}
_SHOWN = 5


def of_onnx(path: Path) -> Program:
    """Return the program in an ONNX file, which computes what ONNX Runtime does.

    Raises:
        SourceError: If it cannot be read, is quantized, has an operator that is unknown here, or keeps tensors in files
            that are not beside it.
    """
    runtime = OnnxProcess(path)
    try:
        model = onnx.load_model_from_string(runtime.data)
        program = _program(path, model)
    except SourceError:
        raise
    except Exception as error:  # whatever stands in a file: names that are no text, numbers of other types
        raise SourceError(f"{path} is damaged: {error}", hint=_AGAIN) from error
    assert isinstance(program.module, OnnxModule)
    check_equal(path, runtime, program.module, program)
    runtime.close()
    return program


def _program(path: Path, model: onnx.ModelProto) -> Program:
    origin, graph = f"the ONNX file {path}", model.graph
    nodes, tensors = _nodes(graph, {entry.domain: entry.version for entry in model.opset_import})
    _check_operators(path, graph)
    nodes = with_bias(nodes, tensors, {value.name for value in graph.output})
    values = [value for value in graph.input if value.name not in tensors]
    names = identifiers((value.name for value in values), ())
    outputs = identifiers((value.name for value in graph.output), names)
    named = dict(zip(outputs, (value.name for value in graph.output), strict=True))
    module = with_signature(_module(path, nodes, tensors, tuple(value.name for value in values), named), names)
    axes, dimensions = Axes(), dict[str, Dimension | None]()
    inputs = tuple(_spec(origin, name, value, axes, dimensions) for name, value in zip(names, values, strict=True))
    return Program(module=module, origin=origin, inputs=inputs, dimensions=dimensions)


def _check_operators(path: Path, graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"):
            raise SourceError(
                f"{path} is quantized already: node {node.name or node.output[0]} is a {node.op_type}.",
                hint="EdgeKit quantizes by itself: give the float model.",
            )
    unknown = [
        f"{node.domain + '.' if node.domain else ''}{node.op_type}, node {node.name or node.output[0]}"
        for node in graph.node
        if node.op_type not in _KNOWN or node.domain not in ("", "ai.onnx")
    ]
    if unknown:
        more = f"\n  - and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise SourceError(
            f"{path} has operators that EdgeKit does not take:\n"
            + "\n".join(f"  - {one}" for one in unknown[:_SHOWN])
            + more,
            hint="Build the PyTorch model instead, or export it with another opset or without the optimizer.",
        )


def _nodes(graph: onnx.GraphProto, versions: dict[str, int]) -> tuple[list[Node], Weights]:
    """Return the nodes that compute, and all constants by name: the file's tensors, and what constant nodes hold."""
    tensors = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    nodes = []
    for number, node in enumerate(graph.node):
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Constant":
            (kind, value), *_ = attributes.items()
            tensors[node.output[0]] = _tensor(value) if kind == "value" else torch.tensor(value)
            continue
        attributes = {
            key: _tensor(value) if isinstance(value, onnx.TensorProto) else value for key, value in attributes.items()
        }
        name = node.name or f"{node.op_type}_{number}"
        version = versions.get(node.domain, versions.get("ai.onnx", 1))
        nodes.append(
            Node(
                op=node.op_type,
                name=name,
                version=version,
                reads=tuple(node.input),
                writes=tuple(node.output),
                attributes=attributes,
            )
        )
    return nodes, tensors


def _tensor(proto: onnx.TensorProto) -> Tensor:
    array = np.array(numpy_helper.to_array(proto))
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return torch.from_numpy(array)


def _module(
    path: Path, nodes: list[Node], tensors: Weights, inputs: tuple[str, ...], outputs: dict[str, str]
) -> OnnxModule:
    module, paths = OnnxModule(), Paths()
    layers, constants, sizes = dict[str, str](), dict[str, str](), dict[str, Host]()
    for node in nodes:
        try:
            layer = layer_of(node, tensors)
        except OnnxError as error:
            raise SourceError(
                f"{path}: {error} ({node.op}, node {node.name}).", hint="Build the PyTorch model instead."
            ) from error
        if layer is None and node.op in _LAYERS:
            raise SourceError(
                f"{path}: the weights of {node.op}, node {node.name}, are computed.",
                hint="Build the PyTorch model instead.",
            )
        if layer is not None:
            layers[node.writes[0]] = paths.of(_name_of(node))
            put(module, layers[node.writes[0]], layer)
            continue
        for place, name in enumerate(node.reads):
            if name in tensors and name not in constants and name not in sizes:
                if small(tensors[name]) or (place and node.op in ("Resize", "Upsample")):  # factors, which are floats
                    sizes[name] = host(tensors[name].tolist())
                else:
                    constants[name] = paths.of(f"tensors.{name.replace('.', '_')}")
                    put(module, constants[name], tensors[name])
    module.edgekit_graph = Graph(
        nodes=tuple(nodes),
        inputs=inputs,
        outputs=outputs,
        layers=layers,
        constants=constants,
        sizes=sizes,
        last={name: number for number, node in enumerate(nodes) for name in node.reads},
    )
    return module.eval()


def _name_of(node: Node) -> str:
    """Return the name of a layer: that of its weights without its end, or the scope in the node's name."""
    for name in node.reads:
        stem, dot, end = name.rpartition(".")
        if dot and end in ("weight", "bias"):
            return stem
    *scopes, last = node.name.strip("/").split("/")
    path: list[str] = []
    for scope in scopes:
        if path and scope.startswith(f"{path[-1]}."):
            path.pop()  # a sequence names its parts after itself
        path.append(scope)
    return ".".join(path) or last


def _spec(
    origin: str, name: str, value: onnx.ValueInfoProto, axes: Axes, dimensions: dict[str, Dimension | None]
) -> TensorSpec:
    kind = value.type.tensor_type
    dtype = DTYPES.get(kind.elem_type)
    words = str(dtype).removeprefix("torch.")
    if words not in get_args(DType):
        raise SourceError(f"{origin}: the input {name} is of a type that no artifact has.", hint=_AGAIN)
    if not kind.HasField("shape") or not kind.shape.dim:
        raise SourceError(f"{origin} does not say the shape of its input {name}.", hint=_AGAIN)
    shape: list[int | str] = []
    rank = len(kind.shape.dim)
    for axis, size in enumerate(kind.shape.dim):
        if size.HasField("dim_value") and size.dim_value > 0:
            shape.append(size.dim_value)
            continue
        symbol = size.dim_param or f"{name}:{axis}"
        label = axes.name(symbol, name, axis, rank) if not size.dim_param else axes.given(symbol)
        shape.append(label)
        dimensions.setdefault(label, limited(1, None, batch=axis == 0))
    return TensorSpec(name=name, dtype=words, shape=tuple(shape))  # type: ignore[arg-type]

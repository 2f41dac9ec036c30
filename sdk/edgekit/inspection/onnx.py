"""Looks into an .onnx."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import helper

from edgekit.base import digest
from edgekit.inspection import isolated
from edgekit.inspection.values import Count, OnnxFile, Tensor, Weights
from edgekit.spec import Format


def inspect(path: Path) -> OnnxFile:
    """Return what is in an .onnx, read in a process of its own.

    Raises:
        RunError: If it is damaged, or its reader crashes, or takes longer or more memory than a file of its size may.
    """
    return isolated.read(path, Format.ONNX, OnnxFile)


def read(path: Path) -> OnnxFile:
    """Return what is in an .onnx, read in this process; whatever is raised means that it is damaged."""
    data = path.read_bytes()
    # Weights kept in other files are neither needed here nor necessarily there.
    model = onnx.load_model_from_string(data)
    if not model.opset_import or not model.graph.output:
        # protobuf reads an empty file, and some cut off ones, without complaint.
        raise ValueError("it holds no operator set or no outputs")
    return _describe(path, data, model)


def _describe(path: Path, data: bytes, model: onnx.ModelProto) -> OnnxFile:
    graph = model.graph
    operators = Counter(node.op_type for node in graph.node)
    for function in model.functions:
        operators.update(node.op_type for node in function.node)
    initializers = {item.name for item in graph.initializer}
    return OnnxFile(
        path=str(path),
        bytes=len(data),
        sha256=digest.of_bytes(data),
        ir_version=model.ir_version,
        opsets=tuple(Count(name=item.domain or "ai.onnx", count=item.version) for item in model.opset_import),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs=tuple(_tensor(item) for item in graph.input if item.name not in initializers),
        outputs=tuple(map(_tensor, graph.output)),
        operators=tuple(Count(name=name, count=count) for name, count in sorted(operators.items())),
        quantize_nodes=operators["QuantizeLinear"],
        dequantize_nodes=operators["DequantizeLinear"],
        dynamic_quantize_nodes=operators["DynamicQuantizeLinear"],
        weights=_weights(graph.initializer),
    )


def _weights(initializers: Iterable[onnx.TensorProto]) -> tuple[Weights, ...]:
    tensors: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for item in initializers:
        dtype = _dtype(item.data_type)
        tensors[dtype] += 1
        sizes[dtype] += math.prod(item.dims) * helper.tensor_dtype_to_np_dtype(item.data_type).itemsize
    return tuple(Weights(dtype=name, tensors=tensors[name], bytes=size) for name, size in sorted(sizes.items()))


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    sizes = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim)
    return Tensor(name=value.name, dtype=_dtype(kind.elem_type), shape=sizes)


def _dtype(number: int) -> str:
    name: str = onnx.TensorProto.DataType.Name(onnx.TensorProto.DataType.ValueType(number)).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)

"""Looks into an .onnx."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import helper

from edgekit.base import digest
from edgekit.errors import BundleError
from edgekit.inspection.values import Count, OnnxFile, Tensor, Weights

DAMAGED = "The file is cut off or no ONNX model. Copy it again, or build it again."


def inspect(path: Path) -> OnnxFile:
    """Return what is in an .onnx.

    Raises:
        BundleError: If it is damaged.
    """
    data = path.read_bytes()
    try:
        # Weights kept in other files are neither needed here nor necessarily there.
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError has no public, stable place to import it from
        raise BundleError(f"{path} is damaged: {error}", hint=DAMAGED) from error
    if not model.opset_import or not model.graph.output:
        # protobuf reads an empty file, and some cut off ones, without complaint.
        raise BundleError(f"{path} is damaged: it holds no operator set or no outputs.", hint=DAMAGED)
    try:
        return _describe(path, data, model)
    except Exception as error:  # numbers that stand for nothing, bytes that are no text
        raise BundleError(f"{path} is damaged: {error}", hint=DAMAGED) from error


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

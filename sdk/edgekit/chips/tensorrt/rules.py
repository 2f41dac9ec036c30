"""What TensorRT demands of an .onnx with explicit quantization, and what breaks it in a file.

After Nvidia's developer guide, "Working with Quantized Types": the zero points of int8 are 0, activations have one
scale, weights one for each output channel, scales are constants, and biases are float.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from edgekit.errors import RunError

_LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# A layer computes with integers if it stands between the two; TensorRT has no operators of ONNX that hold both.
_OTHER = ("QLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")


def parse(data: bytes, file: str) -> onnx.ModelProto:
    """Return the graph in a file.

    Raises:
        RunError: If it is damaged.
    """
    try:
        model: onnx.ModelProto = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # the parser and the checker share no class of errors
        raise RunError(f"{file} is damaged: {error}", hint="Build it again.") from error
    return model


def broken(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return a line for each rule that a node breaks."""
    constants = {one.name: one for one in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    found: list[str] = []
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type.startswith(_OTHER):
            found.append(f"{_name(node)}: TensorRT has no such operator")
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            found += (f"{_name(node)}: {what}" for what in _of_rounding(node, constants))
        elif node.op_type in _LAYERS:
            found += (f"{_name(node)}: {what}" for what in _of_layer(node, makers, constants))
    return tuple(found)


def _of_rounding(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> Iterator[str]:
    if any(name not in constants for name in node.input[1:]):
        yield "its scale or its zero point is computed"
        return
    scale, *zero = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        yield "a scale is not positive"
    if zero and zero[0].dtype != np.int8:
        yield f"it rounds to {zero[0].dtype}, not to int8"
    elif zero and zero[0].any():
        yield f"a zero point is {int(zero[0].ravel()[np.argmax(zero[0] != 0)])}, not 0"
    if scale.size > 1:
        weight = constants.get(node.input[0])
        axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
        if weight is None:
            yield "an activation has more than one scale"
        elif weight.dims[axis] != scale.size:
            yield f"{scale.size} scales are for {weight.dims[axis]} channels"


def _of_layer(
    node: onnx.NodeProto, makers: dict[str, onnx.NodeProto], constants: dict[str, onnx.TensorProto]
) -> Iterator[str]:
    rounded = [name in makers and makers[name].op_type == "DequantizeLinear" for name in node.input]
    if rounded[0] != rounded[1]:
        yield f"its {'weights' if rounded[1] else 'inputs'} alone are rounded"
    if len(rounded) > 2 and rounded[2]:
        yield "its bias is rounded"


def with_float_biases(model: onnx.ModelProto) -> None:
    """Store biases as the float values that their integers stand for, in place: TensorRT rounds them itself."""
    held = {one.name: one for one in model.graph.initializer}
    for node in list(model.graph.node):
        source = held.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if source is None or source.data_type != onnx.TensorProto.INT32:
            continue
        scale = numpy_helper.to_array(held[node.input[1]])
        bias = (numpy_helper.to_array(source) * scale.astype(np.float64)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(bias, node.output[0]))
        model.graph.node.remove(node)
    read = {name for node in model.graph.node for name in node.input}
    for one in [one for one in model.graph.initializer if one.name not in read]:
        model.graph.initializer.remove(one)


def _name(node: onnx.NodeProto) -> str:
    return f"{node.op_type} ({node.name or node.output[0]})"

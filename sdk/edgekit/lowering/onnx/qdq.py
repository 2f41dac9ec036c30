"""Tidy the QDQ graph that torch.onnx writes of a quantized program, so that ONNX Runtime loads and fuses it.

As exported, ONNX Runtime refuses the graph at its default optimization level ("Attempt to replace the existing
tensor"), because Q and DQ nodes share their scale and zero-point initializers; and it runs convolutions in float,
because their biases are float.
"""

import numpy as np
import onnx_ir as ir

from edgekit.lowering.onnx.values import (
    constant,
    dequantize_of,
    drop_unused_initializers,
    initializer,
    share_weights,
    to_unsigned,
)
from edgekit.spec import OnnxSettings

_WITH_BIAS = {"Conv", "ConvTranspose", "Gemm"}
_WEIGHTED = _WITH_BIAS | {"MatMul"}
_INT32 = np.iinfo(np.int32)


def tidy(model: ir.Model, settings: OnnxSettings) -> None:
    """Make every quantized operation one that ONNX Runtime fuses, in place.

    Args:
        model: The exported QDQ graph, with int8 weights, and activations of int8 or int16.
        settings: Whether to store them with or without a sign. int8 becomes uint8 by adding 128 to values and zero
            points, int16 becomes uint16 in the same way: what they stand for stays the same to the last bit.
    """
    graph = model.graph
    for kind, fold in (("QuantizeLinear", _fold_quantize), ("Transpose", _fold_transpose)):
        for number, node in enumerate(list(graph)):
            if node.op_type == kind:
                fold(graph, node, number)
    for node in list(graph):
        if node.op_type == "Clip":
            _drop_saturated_clip(graph, node)
    for number, node in enumerate(list(graph)):
        if node.op_type in _WITH_BIAS:
            _quantize_bias(graph, node, number)
    for number, node in enumerate(list(graph)):
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            _own_parameters(graph, node, number, settings)
            _shorten(node, number)
    share_weights(graph)
    drop_unused_initializers(graph)


def strip_metadata(model: ir.Model) -> None:
    """Drop traces, doc strings and names of intermediate shapes: half of a small file, and they hold source paths."""
    model.doc_string = None
    model.metadata_props.clear()
    model.graph.doc_string = None
    model.graph.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()]:
        value.doc_string = None
        value.metadata_props.clear()
    for node in model.graph:
        node.doc_string = None
        node.metadata_props.clear()
        for value in node.outputs:
            value.doc_string = None
            value.metadata_props.clear()


def _fold_quantize(graph: ir.Graph, node: ir.Node, number: int) -> None:
    """Store what is computed of constants alone as the integers that it is rounded to: the angles of positions, say."""
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.const_value is None or output.is_graph_output() or constant(node.inputs[1]).size != 1:
        return
    scale, zero = constant(node.inputs[1]), constant(node.inputs[2])
    kind = np.iinfo(zero.dtype)
    steps = np.clip(np.rint(constant(value) / scale) + zero.astype(np.int64), kind.min, kind.max)
    output.replace_all_uses_with(initializer(graph, f"k{number}", steps.astype(zero.dtype)))
    graph.remove(node, safe=True)


def _fold_transpose(graph: ir.Graph, node: ir.Node, number: int) -> None:
    """Store a weight in the order in which it is used: a transposed one keeps MatMul from being fused."""
    dequantize = dequantize_of(node.inputs[0])
    permutation = node.attributes.get_ints("perm")
    if dequantize is None or permutation is None or len(dequantize.outputs[0].uses()) != 1:
        return
    stored = dequantize.inputs[0]
    if stored is None or stored.const_value is None or len(stored.uses()) != 1:
        return
    weights = np.ascontiguousarray(constant(stored).transpose(permutation))
    dequantize.replace_input_with(0, initializer(graph, f"t{number}", weights))
    if constant(dequantize.inputs[1]).size > 1:
        axis = dequantize.attributes.get_int("axis", 1)
        dequantize.attributes["axis"] = ir.AttrInt64("axis", list(permutation).index(int(axis)))
    node.outputs[0].replace_all_uses_with(dequantize.outputs[0])
    graph.remove(node, safe=True)


def _drop_saturated_clip(graph: ir.Graph, node: ir.Node) -> None:
    """Drop a Clip, of ReLU6 say, where quantizing saturates at the same ends: it keeps the layer from being fused.

    A bound within half a step of the outermost step, or beyond it, changes no rounded value.
    """
    value = node.inputs[0]
    bounds = [node.inputs[index] if index < len(node.inputs) else None for index in (1, 2)]
    readers = [use.node for use in node.outputs[0].uses()]
    if value is None or not readers or node.outputs[0].is_graph_output():
        return
    if any(bound is not None and bound.const_value is None for bound in bounds):
        return
    low = -np.inf if bounds[0] is None else float(constant(bounds[0]))
    high = np.inf if bounds[1] is None else float(constant(bounds[1]))
    for reader in readers:
        if reader.op_type != "QuantizeLinear" or constant(reader.inputs[1]).size != 1:
            return
        scale, zero = float(constant(reader.inputs[1])), constant(reader.inputs[2])
        steps = np.iinfo(zero.dtype)
        if low > (steps.min - int(zero) + 0.5) * scale or high < (steps.max - int(zero) - 0.5) * scale:
            return
    node.outputs[0].replace_all_uses_with(value)
    graph.remove(node, safe=True)


def _quantize_bias(graph: ir.Graph, node: ir.Node, number: int) -> None:
    """Give the node an int32 bias at the accumulator's scale, input scale x weight scale; see arXiv:1712.05877."""
    data, weight = node.inputs[0], node.inputs[1]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    data_dq, weight_dq = dequantize_of(data), dequantize_of(weight)
    if bias is None or bias.const_value is None or data_dq is None or weight_dq is None:
        return
    if node.op_type == "ConvTranspose" and int(node.attributes.get_int("group", 1)) != 1:
        return  # its weight scales are not in the order of its outputs
    scale = np.asarray(constant(data_dq.inputs[1]) * constant(weight_dq.inputs[1]), dtype=np.float32)
    steps = np.rint(constant(bias).astype(np.float64) / scale)
    if np.abs(steps).max(initial=0) > _INT32.max:
        return  # clipping would change the answer; in float the layer is slower but right
    quantized = steps.astype(np.int32)
    per_channel = scale.size > 1
    dequantize = ir.node(
        "DequantizeLinear",
        [
            initializer(graph, f"b{number}", quantized),
            initializer(graph, f"bs{number}", scale if per_channel else scale.reshape(())),
        ],
        attributes={"axis": 0} if per_channel else None,
    )
    graph.insert_before(node, dequantize)
    node.replace_input_with(2, dequantize.outputs[0])


def _own_parameters(graph: ir.Graph, node: ir.Node, number: int, settings: OnnxSettings) -> None:
    """Give a Q or DQ node scale and zero point of its own, in the integer type that the settings ask for."""
    value, scale = node.inputs[0], node.inputs[1]
    node.replace_input_with(1, initializer(graph, f"s{number}", constant(scale)))
    if len(node.inputs) < 3:
        return  # a bias: int32, no zero point
    zeros = constant(node.inputs[2])
    stored = value is not None and value.const_value is not None
    # What a sum or a product reads must be of the type of its other operand, be it stored or computed.
    weights = stored and any(use.idx > 0 and use.node.op_type in _WEIGHTED for use in node.outputs[0].uses())
    if zeros.dtype in (np.int8, np.int16) and (settings.weights if weights else settings.activations) == "uint8":
        zeros = to_unsigned(zeros)
        if stored:
            node.replace_input_with(0, initializer(graph, f"w{number}", to_unsigned(constant(value))))
    node.replace_input_with(2, initializer(graph, f"z{number}", zeros))


def _shorten(node: ir.Node, number: int) -> None:
    """Name a Q or DQ node after its number and leave default attributes out: long names are a sixth of a small file."""
    output = node.outputs[0]
    if not output.is_graph_output():
        output.name = node.name = f"{'q' if node.op_type == 'QuantizeLinear' else 'd'}{number}"
    if constant(node.inputs[1]).size == 1:
        node.attributes.pop("axis", None)

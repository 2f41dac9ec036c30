"""Write linear layers whose activations are quantized at run time as ONNX Runtime fuses them.

The exporter has no form for it. So the activations are left out of what it exports, and put back here:
``DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul -> Add`` becomes one DynamicQuantizeMatMul with the bias, or,
where several layers read one activation, MatMulIntegerToFloat behind a common quantization. ONNX quantizes a whole
tensor with one range, XNNPACK and the program each row with its own.
"""

import numpy as np
import onnx_ir as ir
from torch.export import ExportedProgram

from edgekit.lowering.onnx.values import (
    constant,
    dequantize_of,
    drop_unused_initializers,
    drop_unused_nodes,
    initializer,
    to_unsigned,
)
from edgekit.model.graph import is_dequantize, is_dynamic
from edgekit.model.narrow import with_own_graph
from edgekit.spec import OnnxSettings


def without_activations(program: ExportedProgram) -> ExportedProgram:
    """Return a copy of a dynamically quantized program whose activations stay float; its weights stay quantized."""
    program = with_own_graph(program)
    graph = program.graph
    for node in graph.nodes:
        if is_dequantize(node) and is_dynamic(node):
            node.replace_all_uses_with(node.args[0].args[0])
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def tidy(model: ir.Model, settings: OnnxSettings) -> None:
    """Let every layer with a quantized weight multiply integers, in place.

    Args:
        model: The exported graph, with int8 weights per output channel behind DequantizeLinear.
        settings: The integer type to store weights in.
    """
    graph = model.graph
    for number, node in enumerate(list(graph)):
        if node.op_type in ("MatMul", "Gemm"):
            _multiply_integers(graph, node, number, settings)
    drop_unused_nodes(graph)
    drop_unused_initializers(graph)


def _multiply_integers(graph: ir.Graph, node: ir.Node, number: int, settings: OnnxSettings) -> None:
    data, weight = node.inputs[0], node.inputs[1]
    transposed = bool(node.attributes.get_int("transB", 0))
    producer = weight.producer() if weight is not None else None
    if producer is not None and producer.op_type == "Transpose":
        transposed, weight = not transposed, producer.inputs[0]
    dequantize = dequantize_of(weight)
    if dequantize is None or data is None:
        return
    steps, scale = constant(dequantize.inputs[0]), constant(dequantize.inputs[1])
    stored = np.ascontiguousarray(steps.T if transposed else steps)  # (inputs, outputs)
    unsigned = settings.weights == "uint8"
    quantize = ir.node("DynamicQuantizeLinear", [data], num_outputs=3)
    values, data_scale, data_zero = quantize.outputs
    operands = [values, initializer(graph, f"w{number}", to_unsigned(stored) if unsigned else stored), data_zero]
    if unsigned:
        operands.append(initializer(graph, f"z{number}", np.array(128, np.uint8)))
    product = ir.node("MatMulInteger", operands)
    cast = ir.node("Cast", [product.outputs[0]], attributes={"to": ir.DataType.FLOAT})
    scales = ir.node("Mul", [data_scale, initializer(graph, f"s{number}", scale)])
    scaled = ir.node("Mul", [cast.outputs[0], scales.outputs[0]])
    made = [quantize, product, cast, scales, scaled]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None:
        made.append(ir.node("Add", [scaled.outputs[0], bias]))
    graph.insert_before(node, made)
    result, old = made[-1].outputs[0], node.outputs[0]
    result.name, result.type, result.shape = old.name, old.type, old.shape
    ir.convenience.replace_all_uses_with(old, result, replace_graph_outputs=True)
    graph.remove(node, safe=True)

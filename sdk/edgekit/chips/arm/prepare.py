"""Write a program in which all is rounded as Arm's compilers read one: integers alone between two roundings.

Their own quantizers leave such a program behind. What ours leaves otherwise is written anew, and computes the same.
"""

import operator
from typing import Any

import torch
from executorch.backends.arm.common.annotation_meta import ArmAnnotationInfo
from torch import fx
from torch.export import ExportedProgram

from edgekit.chips.arm import steps
from edgekit.chips.arm.means import write_means
from edgekit.lowering.rewriting import drop_unused
from edgekit.lowering.rewriting.writer import add_constant, tensor_of
from edgekit.model.graph import add_call, is_compute, is_dequantize, is_quantize, operation

_aten, _quantized = torch.ops.aten, torch.ops.quantized_decomposed
_INT32 = 2**31 - 1
_WEIGHTED = {"conv1d", "conv2d", "linear"}
_RECTIFIERS = {"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "clamp"}
# What gives values that it was given has the same steps on both sides.
_CHOOSES = {"max_pool1d", "max_pool2d", "constant_pad_nd", "pad", "upsample_nearest2d", "amax", "amin"}


def prepare(program: ExportedProgram) -> None:
    """Write a program in place.

    Args:
        program: A quantized program with a fixed batch; all is rounded in it.
    """
    write_means(program)
    for node in list(program.graph.nodes):
        if node.op != "call_function":
            continue
        if is_quantize(node):
            _fold_constant(program, node)
        elif operation(node) in _RECTIFIERS:
            _part_from_layer(node)
        elif operation(node) in _WEIGHTED:
            _round_bias(program, node)
        elif operation(node) in _CHOOSES or not (is_compute(node) or is_dequantize(node)):
            _bridge(node)
    drop_unused(program)
    for node in program.graph.nodes:
        if is_rounded(node):
            node.meta["custom"] = {
                **node.meta.get("custom", {}),
                ArmAnnotationInfo.CUSTOM_META_KEY: dict(ArmAnnotationInfo(quantized=True)),
            }
    program.graph_module.recompile()


def is_rounded(node: fx.Node) -> bool:
    """Whether a node computes on rounded values alone, and its own is rounded."""
    if node.op != "call_function" or is_quantize(node) or is_dequantize(node) or node.target is operator.getitem:
        return False
    floats = [one for one in node.all_input_nodes if one.meta["val"].dtype.is_floating_point]
    return bool(floats) and all(map(is_dequantize, floats)) and steps.rounding(node) is not None


def _fold_constant(program: ExportedProgram, node: fx.Node) -> None:
    """Store what is rounded of a constant as the steps that it is rounded to."""
    held, own = tensor_of(program, node.args[0]), steps.of(node)
    if held is not None and own is not None:
        node.replace_all_uses_with(add_constant(program, own.rounded(held)))
        program.graph.erase_node(node)


def _part_from_layer(node: fx.Node) -> None:
    """Round a layer before its activation, with the steps of what comes behind; where these cut off as much, drop it.

    Rounding is monotone: what is rounded and then cut off at a step is what is cut off and then rounded.
    """
    rounding, (source, *rest) = steps.rounding(node), node.args
    if rounding is None or not isinstance(source, fx.Node) or is_dequantize(source) or len(source.users) != 1:
        return
    own = steps.of(rounding)
    assert own is not None
    assert callable(node.target)
    every = torch.arange(steps.LEAST, steps.MOST + 1).to(torch.int8)
    if torch.equal(own.rounded(node.target(own.values(), *rest)), every):
        node.replace_all_uses_with(source)
        node.graph.erase_node(node)
        return
    with node.graph.inserting_before(node):
        again = steps.through(source, own)
    node.replace_input_with(source, again)


def _round_bias(program: ExportedProgram, node: fx.Node) -> None:
    """Give a layer a bias of int32 at the accumulator's scale, input scale x weight scale; see arXiv:1712.05877."""
    given: tuple[Any, ...] = node.args
    data, weight, bias = (*given, None)[:3]
    own, held = steps.of(data), tensor_of(program, bias)
    if own is None or held is None or not is_dequantize(weight):
        return
    scales = tensor_of(program, weight.args[1])
    scales = torch.full_like(held, weight.args[1]) if scales is None else scales
    scales = scales.reshape(-1) * own.scale
    rounded = torch.round(held.double() / scales)
    if rounded.abs().max() > _INT32:
        return  # in float the layer is slower, but right
    stored, scale, zero = (
        add_constant(program, one)
        for one in (rounded.to(torch.int32), scales.to(torch.float32), torch.zeros(len(held), dtype=torch.int64))
    )
    bounds = (0, -_INT32 - 1, _INT32, torch.int32)
    with node.graph.inserting_before(node):
        read = add_call(node, _quantized.dequantize_per_channel.default, stored, scale, zero, *bounds)
    node.args = (data, weight, read, *given[3:])


def _bridge(node: fx.Node) -> None:
    """Where a value is only moved, but rounded to other steps behind it, round it to these before."""
    rounding = steps.rounding(node)
    own = steps.of(rounding) if rounding is not None else None
    if own is None:
        return
    for source in steps.read(node):
        if steps.of(source) != own:
            with node.graph.inserting_before(node):
                same = add_call(source, _aten.pow.Tensor_Scalar, source, 1)  # a table of 256 steps
                again = steps.through(same, own)
            node.replace_input_with(source, again)

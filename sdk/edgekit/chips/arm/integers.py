"""Write a prepared program as operations on integers that Cortex-M has kernels for.

What is a function of one rounded value becomes a table of 256 bytes, whatever it computes. What only moves values moves
integers. A linear layer becomes a convolution over one pixel: CMSIS-NN's own takes one scale for all its outputs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from edgekit.chips.arm import operators, steps
from edgekit.chips.arm.means import moved
from edgekit.lowering.rewriting import drop_unused
from edgekit.lowering.rewriting.writer import add_constant, tensor_of
from edgekit.model.graph import add_call, is_compute, is_dequantize, operation

_aten, _cortex_m = torch.ops.aten, torch.ops.cortex_m
_quantized = torch.ops.quantized_decomposed
_FUNCTIONS = {
    "abs", "celu", "clamp", "elu", "erf", "exp", "expm1", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "log", "log1p", "log_sigmoid", "mish", "neg", "pow", "reciprocal", "relu", "relu6", "relu_", "rsqrt", "selu",
    "sigmoid", "silu", "softplus", "sqrt", "square", "tanh", "add", "sub", "mul", "div", "rsub",
}  # fmt: skip
_MOVES_OF_ONE = {"max_pool2d", "constant_pad_nd", "pad"}
# CMSIS-NN's softmax gives these steps alone.
_SHARES = steps.Steps(1 / 256, -128)
_EVERY = torch.arange(steps.LEAST, steps.MOST + 1).to(torch.int8)


def write_integers(program: ExportedProgram) -> None:
    """Write a program in place.

    Args:
        program: A program that `prepare` has written.
    """
    operators.register()
    table: dict[Any, Callable[[ExportedProgram, fx.Node], None]] = {
        _aten.linear.default: _write_linear,
        _aten.softmax.int: _write_softmax,
        _aten.matmul.default: _write_product,
        _aten.mul.Tensor: _write_broadcast,
        _aten.add.Tensor: _write_broadcast,
        _aten.sub.Tensor: _write_broadcast,
    }
    for node in list(program.graph.nodes):
        if node.op == "call_function" and steps.rounding(node) is not None and node.target in table:
            with node.graph.inserting_before(node):
                table[node.target](program, node)
    for node in list(program.graph.nodes):
        if node.op == "call_function" and steps.rounding(node) is not None:
            with node.graph.inserting_before(node):
                if not _write_table(program, node):
                    _move_integers(node)
    program.graph.eliminate_dead_code()
    drop_unused(program)


def _write_table(program: ExportedProgram, node: fx.Node) -> bool:
    """Write a function of one rounded value as a table; whether it is one."""
    rounding = steps.rounding(node)
    tensors = node.all_input_nodes
    if operation(node) not in _FUNCTIONS or len(tensors) != 1 or rounding is None:
        return False
    data = tensors[0]
    own, to = steps.of(data), steps.of(rounding)
    if own is None or to is None:
        return False
    given, keywords = fx.map_arg((node.args, node.kwargs), lambda one: own.values())
    assert callable(node.target)
    found = to.rounded(node.target(*given, **keywords).nan_to_num())
    result = data.args[0]
    assert isinstance(result, fx.Node)
    if not torch.equal(found, _EVERY):
        result = add_call(node, _cortex_m.quantized_activation.default, result, add_constant(program, found))
    rounding.replace_all_uses_with(result)
    for one in (rounding, node):
        node.graph.erase_node(one)
    return True


def _move_integers(node: fx.Node) -> None:
    """Let an operation that only moves values move integers: all of them have the same steps."""
    rounding, sources = steps.rounding(node), steps.read(node)
    if rounding is None or not sources or is_compute(node) or is_dequantize(node):
        return
    if any(steps.of(source) != steps.of(rounding) for source in sources):
        return
    if any(one not in sources for one in node.all_input_nodes):
        return
    given, keywords = fx.map_arg((node.args, node.kwargs), lambda one: one.args[0])
    assert isinstance(node.target, torch._ops.OpOverload)
    result = add_call(node, node.target, *given, **keywords)
    result.meta.pop("custom", None)
    rounding.replace_all_uses_with(result)
    for one in (rounding, node):
        node.graph.erase_node(one)


def _write_linear(program: ExportedProgram, node: fx.Node) -> None:
    given: tuple[Any, ...] = node.args
    data, weight, bias = (*given, None)[:3]
    stored = tensor_of(program, weight.args[0])
    rounding = steps.rounding(node)
    if steps.of(data) is None or not is_dequantize(weight) or stored is None or rounding is None:
        return
    width = data.meta["val"].shape[-1]
    count = data.meta["val"].numel() // width
    pixels = moved(data, _aten.reshape.default, [1, count, 1, width])
    pixels = moved(pixels, _aten.permute.default, [0, 3, 1, 2])
    held = add_constant(program, stored[:, :, None, None])
    weights = add_call(weight, weight.target, held, *weight.args[1:])
    layer = add_call(node, _aten.conv2d.default, pixels, weights, bias)
    own = steps.of(rounding)
    assert own is not None
    found = steps.through(layer, own)
    found = moved(found, _aten.permute.default, [0, 2, 3, 1])
    node.target, node.args = _aten.reshape.default, (found, list(node.meta["val"].shape))


def _write_softmax(program: ExportedProgram, node: fx.Node) -> None:
    given: tuple[Any, ...] = node.args
    if steps.of(given[0]) is None or len(given) > 2:
        return
    if given[1] not in (-1, given[0].meta["val"].dim() - 1):
        return
    shares = add_call(node, _aten.softmax.int, *given)
    node.target, node.args = _aten.pow.Tensor_Scalar, (steps.through(shares, _SHARES), 1)


def _write_product(program: ExportedProgram, node: fx.Node) -> None:
    """Write a product of batches of matrices with one batch dimension."""
    given: tuple[Any, ...] = node.args
    sizes = [one.meta["val"].shape for one in given]
    rounding = steps.rounding(node)
    if any(steps.of(one) is None for one in given) or sizes[0][:-2] != sizes[1][:-2] or len(sizes[0]) < 3:
        return
    flat = [moved(one, _aten.reshape.default, [-1, *size[-2:]]) for one, size in zip(given, sizes, strict=True)]
    assert rounding is not None
    own = steps.of(rounding)
    assert own is not None
    product = steps.through(add_call(node, _aten.bmm.default, *flat), own)
    node.target, node.args = _aten.reshape.default, (product, list(node.meta["val"].shape))


def _write_broadcast(program: ExportedProgram, node: fx.Node) -> None:
    """Repeat the smaller of two values as often as it is used: the kernels take equal shapes."""
    sources = [one for one in node.all_input_nodes if one.meta["val"].shape != node.meta["val"].shape]
    for source in sources:
        if (steps.of(source) is not None and source.meta["val"].numel() > 1) or len(node.all_input_nodes) > 1:
            whole = list(node.meta["val"].shape)
            if steps.of(source) is not None:
                node.replace_input_with(source, moved(source, _aten.expand.default, whole))

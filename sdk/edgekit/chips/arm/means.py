"""Means as what all of Arm's chips compute without error: a depthwise convolution of ones, rounded once.

CMSIS-NN's pool gives what it reads in the steps that it reads, and the compiler for TOSA multiplies sums with a rounded
reciprocal; here the reciprocal is the scale of the weights, and the sum is one of int32.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from edgekit.chips.arm import steps
from edgekit.lowering.rewriting.writer import add_constant
from edgekit.model.graph import add_call

_aten, _quantized = torch.ops.aten, torch.ops.quantized_decomposed
# Vela's limits for the window of a depthwise convolution.
_MOST_HIGH, _MOST = 64, 64 * 64


def write_means(program: ExportedProgram) -> None:
    """Write means and average pools of rounded values as convolutions, in place.

    Args:
        program: A quantized program with a batch of 1.
    """
    for node in list(program.graph.nodes):
        if node.op != "call_function" or node.kwargs or steps.rounding(node) is None:
            continue
        given: tuple[Any, ...] = node.args
        if not isinstance(given[0], fx.Node) or steps.of(given[0]) is None:
            continue
        with node.graph.inserting_before(node):
            match node.target:
                case _aten.mean.dim if given[1]:
                    _write_mean(program, node, [axis % node.args[0].meta["val"].dim() for axis in given[1]])
                case _aten.adaptive_avg_pool2d.default if list(given[1]) == [1, 1]:
                    _write_mean(program, node, [2, 3])
                case _aten.avg_pool2d.default:
                    _write_pool(program, node)
    program.graph_module.recompile()


def _write_mean(program: ExportedProgram, node: fx.Node, axes: Sequence[int]) -> None:
    data, rounding = node.args[0], steps.rounding(node)
    assert isinstance(data, fx.Node)
    assert rounding is not None
    sizes = data.meta["val"].shape
    kept = [axis for axis in range(len(sizes)) if axis not in axes]
    window = [sizes[axis] for axis in axes]
    window = [window[0], math.prod(window[1:])]
    if sizes[0] != 1 or 0 in axes or window[0] > _MOST_HIGH or math.prod(window) > _MOST:
        return
    if kept + list(axes) != list(range(len(sizes))):
        data = moved(data, _aten.permute.default, kept + list(axes))
    data = moved(data, _aten.reshape.default, [1, math.prod(sizes[axis] for axis in kept), *window])
    mean = _ones(program, data, window, [1, 1], [0, 0])
    own = steps.of(rounding)
    assert own is not None
    node.target, node.args = _aten.reshape.default, (steps.through(mean, own), list(node.meta["val"].shape))


def _write_pool(program: ExportedProgram, node: fx.Node) -> None:
    given: tuple[Any, ...] = (*node.args, *([], [0, 0], False, True, None)[len(node.args) - 2 :])
    data, window, stride, padding, ceil, counts_padding, divisor = given
    window, stride, padding = ([*one, *one][:2] for one in (window, stride or window, padding))
    if ceil or divisor or (any(padding) and not counts_padding) or data.meta["val"].dim() != 4:
        return
    mean = _ones(program, data, window, stride, padding)
    node.replace_all_uses_with(mean)
    node.graph.erase_node(node)


def _ones(program: ExportedProgram, data: fx.Node, window: list[int], stride: list[int], padding: list[int]) -> fx.Node:
    channels = data.meta["val"].shape[1]
    ones = add_constant(program, torch.ones(channels, 1, *window, dtype=torch.int8))
    given = (1 / math.prod(window), 0, -steps.MOST, steps.MOST, torch.int8)
    weight = add_call(data, _quantized.dequantize_per_tensor.default, ones, *given)
    return add_call(data, _aten.conv2d.default, data, weight, None, stride, padding, [1, 1], channels)


def moved(data: fx.Node, target: Any, *given: Any) -> fx.Node:
    """Return rounded values in another place or shape. Nodes are added where the graph's cursor stands."""
    own = steps.of(data)
    assert own is not None
    return steps.through(add_call(data, target, data, *given), own)

"""Reconstruction: walk the graph once with two streams, float and quantized, and mend each layer where they part.

When a layer's turn comes, everything before it is quantized already, so that its rounding and its bias answer for the
inputs that it will really see.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute
from edgekit.quantization.dynamic import DynamicObserver
from edgekit.quantization.functions import FLOAT_FUNCTIONS, RECTIFIERS, WEIGHTED, Function, common_function
from edgekit.quantization.joint import Joint, joint
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.quantization.rounding import patches, round_adaptively
from edgekit.spec import QuantSpec

_aten = torch.ops.aten
# Mean squared slope of the function behind a layer below which a channel is taken for shut: nothing is to be mended.
_LEAST_SLOPE = 1e-3


class Pair(NamedTuple):
    """A value as the float and as the quantized program compute it."""

    real: Any
    rounded: Any


def reconstruct(prepared: fx.GraphModule, inputs: tuple[Tensor, ...], spec: QuantSpec) -> None:
    """Round weights adaptively and correct biases, in place, in the order of the graph.

    The bias of a layer takes up the mean difference of its outputs (Nagel et al., "Data-Free Quantization Through
    Weight Equalization and Bias Correction", https://arxiv.org/abs/1906.04721, here with data).

    Args:
        prepared: A calibrated graph whose parameters are its own; weights come out on the steps of their scales.
        inputs: Calibration samples, as many as memory allows.
        spec: Says which of the two steps to take.
    """
    values: dict[fx.Node, Pair] = {}
    shared = joint(prepared, inputs) if spec.adaptive_rounding else {}
    waiting = iter(inputs)
    last_use = {source: node for node in prepared.graph.nodes for source in node.all_input_nodes}
    with torch.no_grad():
        for node in prepared.graph.nodes:
            if node.op == "placeholder":
                tensor = next(waiting)
                values[node] = Pair(tensor, tensor)
            elif node.op == "get_attr":
                tensor = attribute(prepared, node)
                values[node] = Pair(tensor, tensor)
            elif node.op == "call_module":
                values[node] = _observed(prepared.get_submodule(str(node.target)), node, values)
            elif node.op == "call_function":
                if node.target in WEIGHTED and _observer_of(prepared, node.args[1]) is not None:
                    _mend(prepared, node, values, shared, spec)
                else:
                    values[node] = Pair(_call(node, values, 0), _call(node, values, 1))
            for source in node.all_input_nodes:
                if last_use[source] is node:
                    del values[source]


def _mend(
    prepared: fx.GraphModule,
    node: fx.Node,
    values: dict[fx.Node, Pair],
    shared: Mapping[fx.Node, Joint],
    spec: QuantSpec,
) -> None:
    data, weight_node = node.args[0], node.args[1]
    observer = _observer_of(prepared, weight_node)
    assert isinstance(data, fx.Node)
    assert isinstance(weight_node, fx.Node)
    assert observer is not None
    stored = weight_node.all_input_nodes[0]
    weight = values[weight_node].real
    rounded = values[weight_node].rounded
    if spec.adaptive_rounding and stored.op == "get_attr":
        weight = weight.clone()  # the float stream's: the parameter itself is about to change
        limits = observer.quant_min, observer.quant_max
        common = shared.get(stored)
        if common is None:
            inputs = patches(node, values[data].rounded, weight)
            rounded = round_adaptively(weight, observer.spread(weight), inputs, limits)
        else:
            if common.rounded is None:
                inputs = torch.cat(common.inputs, 1)
                common.rounded = round_adaptively(weight, observer.spread(weight), inputs, limits)
                common.inputs.clear()
            rounded = common.rounded
        attribute(prepared, stored).copy_(rounded)
        rounded = observer.quantize(rounded)  # to the last bit what the converted program reads
    values[weight_node] = Pair(weight, rounded)
    real, result = _call(node, values, 0), _call(node, values, 1)
    bias = bias_of(node)
    if spec.bias_correction and bias is not None:
        shift = correction(node, real, result)
        attribute(prepared, bias).add_(shift)
        result = add_to_channels(node, result, shift)
    values[node] = Pair(real, result)


def bias_of(node: fx.Node) -> fx.Node | None:
    """Return the bias that a layer's error can be put into: one of its own."""
    if node.target not in WEIGHTED or len(node.args) < 3:
        return None
    bias = node.args[2]
    return bias if isinstance(bias, fx.Node) and bias.op == "get_attr" and len(bias.users) == 1 else None


def correction(node: fx.Node, real: Tensor, rounded: Tensor) -> Tensor:
    """Return what to add to a layer's bias, float32 of shape (channels,).

    Args:
        node: The layer, in a prepared graph.
        real: Its outputs in float.
        rounded: Its outputs with everything before it, and its weights, rounded.
    """
    channel = _channel(node, rounded)
    axes = [axis for axis in range(rounded.ndim) if axis != channel]
    # A channel with values that are not finite has no mean error: its bias stays.
    return _shift(real, rounded, _function_behind(node), axes).nan_to_num(0.0, 0.0, 0.0)


def add_to_channels(node: fx.Node, values: Tensor, shift: Tensor) -> Tensor:
    """Return a layer's outputs as they are with ``shift``, of shape (channels,), added to its bias."""
    channel = _channel(node, values)
    return values + shift.view([-1 if axis == channel else 1 for axis in range(values.ndim)])


def _channel(node: fx.Node, values: Tensor) -> int:
    return values.ndim - 1 if node.target is _aten.linear.default else 1


def _function_behind(node: fx.Node) -> Function | None:
    """Return the function that follows a layer, whether the layer's own output is rounded in between or not."""
    readers = [reader for user in node.users for reader in (user.users if user.op == "call_module" else (user,))]
    return common_function(readers, FLOAT_FUNCTIONS | RECTIFIERS)


def _shift(real: Tensor, rounded: Tensor, function: Function | None, axes: list[int]) -> Tensor:
    """Return what to add to each channel so that the function behind the layer changes least, in least squares.

    One step of Gauss and Newton. Without a function it is the mean error; with one, errors count as much as it passes
    on. Those of a ReLU's negative side, say, count nothing: to mend them would harm the rest.
    """
    if function is None:
        return (real - rounded).double().mean(axes).float()
    with torch.enable_grad():
        x = rounded.detach().requires_grad_()
        result = function(x)
        (slope,) = torch.autograd.grad(result.sum(), x)
    error = (function(real) - result.detach()).double()
    slope = slope.double()
    passed = torch.square(slope).mean(axes)
    return torch.where(passed < _LEAST_SLOPE, 0.0, (slope * error).mean(axes) / passed.clamp(min=_LEAST_SLOPE)).float()


def _observed(module: torch.nn.Module, node: fx.Node, values: Mapping[fx.Node, Pair]) -> Pair:
    pair = values[node.all_input_nodes[0]]
    if isinstance(module, HistogramObserver | DynamicObserver | PerChannelWeightObserver):
        return Pair(pair.real, module.quantize(pair.rounded))
    return Pair(module(pair.real), module(pair.rounded))


def _observer_of(prepared: fx.GraphModule, node: Any) -> PerChannelWeightObserver | None:
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    module = prepared.get_submodule(str(node.target))
    return module if isinstance(module, PerChannelWeightObserver) else None


def _call(node: fx.Node, values: Mapping[fx.Node, Pair], stream: int) -> Any:
    def of_stream(source: fx.Node) -> Any:
        return values[source][stream]

    assert callable(node.target)
    return node.target(*fx.map_arg(node.args, of_stream), **fx.map_arg(node.kwargs, of_stream))

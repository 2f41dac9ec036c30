"""Scales that follow from the layer around them: what an int32 bias, and what a multiplier of a kernel, can hold.

Scales know no unit: a network in volts and one in microvolts are quantized alike. What limits them is relative. A bias
is stored in steps of the product of its input's and its weight's scale, and a kernel multiplies its sums by that
product over its output's scale.
"""

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute
from edgekit.quantization.functions import RECTIFIERS
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver

# The largest bias in steps: half of what int32 holds, since sums are added to it and correction may move it.
_MOST_STEPS = 2.0**30
# What a kernel multiplies the sums of a channel without weights by: far from both ends of what kernels take.
_IDLE = 2.0**-10
# The same where a layer reads nothing but zeros, such as a first state: its bias is then exact to this share of a step.
_NEARLY = 2.0**-6


def fit(prepared: fx.GraphModule) -> None:
    """Raise the scales of weights where a bias would overflow, in place; give zeros, read or multiplied with, fit ones.

    Args:
        prepared: A calibrated graph.
    """
    for node in prepared.graph.nodes:
        if node.op != "call_function" or len(node.args) < 2:
            continue
        weight, data = (_observer(prepared, node.args[place]) for place in (1, 0))
        if isinstance(weight, PerChannelWeightObserver) and isinstance(data, HistogramObserver):
            bias = node.args[2] if len(node.args) > 2 else None
            constant = attribute(prepared, bias) if isinstance(bias, fx.Node) and bias.op == "get_attr" else None
            output = _output_scale(prepared, node)
            if data.idle and output is not None and not weight.empty.all():
                data.choose(_NEARLY * output / float(weight.calculate_qparams()[0].max()))
            weight.scale = _fitted(weight, data.parameters_chosen[0], output, constant)


def _fitted(weight: PerChannelWeightObserver, data: float, output: float | None, bias: Tensor | None) -> Tensor:
    scale = weight.calculate_qparams()[0].double()
    if output is not None:
        scale = torch.where(weight.empty, _IDLE * output / data, scale)
    if bias is not None and bias.shape == scale.shape:
        scale = torch.maximum(scale, bias.double().abs() / (data * _MOST_STEPS))
    return scale.float()


def _output_scale(prepared: fx.GraphModule, layer: fx.Node) -> float | None:
    """Return the scale that a layer's output is rounded with, behind its ReLU if it has one."""
    for user in layer.users:
        observers = user.users if user.target in RECTIFIERS else (user,)
        for node in observers:
            observer = _observer(prepared, node)
            if isinstance(observer, HistogramObserver):
                return observer.parameters_chosen[0]
    return None


def _observer(prepared: fx.GraphModule, node: object) -> torch.nn.Module | None:
    if isinstance(node, fx.Node) and node.op == "call_module":
        return prepared.get_submodule(str(node.target))
    return None

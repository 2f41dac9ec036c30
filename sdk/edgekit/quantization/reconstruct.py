"""Reconstruction: go through the graph once with two streams, float and quantized, and mend each layer where they part.

When a layer's turn comes, everything before it is quantized already, so that its rounding and its bias answer for the
inputs that it will really see.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute
from edgekit.quantization.correction import Correction, add_to_channels, bias_of
from edgekit.quantization.functions import WEIGHTED
from edgekit.quantization.joint import Joint, joint
from edgekit.quantization.observers import PerChannelWeightObserver
from edgekit.quantization.rounding import gather, round_adaptively
from edgekit.quantization.streams import Pair, Streams
from edgekit.spec import QuantSpec

# Bytes of a layer's outputs, both streams, that are held while its bias is corrected; larger ones are computed again.
_HELD = 2**26


def reconstruct(prepared: fx.GraphModule, parts: Sequence[tuple[Tensor, ...]], spec: QuantSpec) -> None:
    """Round weights adaptively and correct biases, in place, in the order of the graph.

    Args:
        prepared: A calibrated graph whose parameters are its own; weights come out on the steps of their scales.
        parts: Calibration samples, as the arguments of one call each.
        spec: Says which of the two steps to take.
    """
    with torch.no_grad():
        shared = joint(prepared, parts) if spec.adaptive_rounding else {}
        streams = Streams(prepared, parts)
        for node in list(prepared.graph.nodes):
            if node.target in WEIGHTED and _observer_of(prepared, node.args[1]) is not None:
                streams.to(node)
                if spec.adaptive_rounding:
                    _round(streams, node, shared)
                if spec.bias_correction:
                    _correct(streams, node)


def _round(streams: Streams, node: fx.Node, joints: Mapping[fx.Node, Joint]) -> None:
    """Round the weight of the layer that all samples stand before."""
    data, weight_node = node.args[0], node.args[1]
    observer = _observer_of(streams.prepared, weight_node)
    assert isinstance(data, fx.Node)
    assert isinstance(weight_node, fx.Node)
    assert observer is not None
    stored = weight_node.all_input_nodes[0]
    if stored.op != "get_attr":
        return
    weight = streams.shared(weight_node).real.clone()  # the float stream's: the parameter itself is about to change
    limits = observer.quant_min, observer.quant_max
    common = joints.get(stored)
    if common is None:
        inputs = gather(node, streams.rounded(data), len(streams), weight)
        rounded = round_adaptively(weight, observer.spread(weight), inputs, limits)
    else:
        if common.rounded is None:
            inputs = torch.cat(common.inputs, 1)
            common.rounded = round_adaptively(weight, observer.spread(weight), inputs, limits)
            common.inputs.clear()
        rounded = common.rounded
    attribute(streams.prepared, stored).copy_(rounded)
    # To the last bit what the converted program reads.
    streams.share(weight_node, Pair(weight, observer.quantize(rounded)))


def _correct(streams: Streams, node: fx.Node) -> None:
    """Correct the bias of the layer that all samples stand before."""
    bias = bias_of(node)
    if bias is None:
        return
    correction, outputs, size = Correction(node), list[Pair](), 0
    for pair in streams.call(node):
        correction.add(*pair)
        size += 2 * pair.real.nbytes
        if size <= _HELD:
            outputs.append(pair)
        else:
            outputs.clear()
    tensor = attribute(streams.prepared, bias)
    original, shift = tensor.clone(), correction.shift()  # the float stream's stays
    tensor.add_(shift)
    streams.share(bias, Pair(original, tensor))
    if size <= _HELD:
        streams.set(node, [Pair(pair.real, add_to_channels(node, pair.rounded, shift)) for pair in outputs])


def _observer_of(prepared: fx.GraphModule, node: Any) -> PerChannelWeightObserver | None:
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    module = prepared.get_submodule(str(node.target))
    return module if isinstance(module, PerChannelWeightObserver) else None

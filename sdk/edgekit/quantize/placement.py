"""Placement: where values are rounded. ExecuTorch's XNNPACK quantizer decides, and is refined here."""

import math
from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import QuantizationConfig
from torch import fx
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, SharedQuantizationSpec

from edgekit.graph import is_compute
from edgekit.quantize.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.spec import LastLayer, QuantSpec

_aten = torch.ops.aten
# Neither XNNPACK nor ONNX Runtime has int8 kernels for these: they run in float between a dequantize and a quantize.
FLOAT_FUNCTIONS = {
    _aten.hardswish.default, _aten.hardsigmoid.default, _aten.silu.default, _aten.gelu.default,
    _aten.sigmoid.default, _aten.tanh.default, _aten.elu.default,
}  # fmt: skip
WEIGHTED = {_aten.conv1d.default, _aten.conv2d.default, _aten.linear.default}
_CLAMPS = {_aten.hardtanh.default, _aten.hardtanh_.default, _aten.relu6.default}
_ANNOTATION = "quantization_annotation"
# The last layer stays float if that costs at most this share of all weights.
_CHEAP = 0.02


class Placement(XNNPACKQuantizer):
    """The XNNPACK quantizer, less the roundings that buy nothing."""

    def __init__(self, spec: QuantSpec) -> None:
        super().__init__()
        self._spec = spec
        self.set_global(_configuration(spec))

    def annotate(self, model: fx.GraphModule) -> Any:
        """Mark the nodes of a captured graph with how they are to be quantized."""
        annotated = super().annotate(model)
        for node in annotated.graph.nodes:
            # Both sides come from functions that run in float, and what follows is rounded anyway: rounding each side
            # first would cost two conversions and their error. The gates of squeeze-and-excite are of this kind.
            if node.target is _aten.mul.Tensor and all(i.target in FLOAT_FUNCTIONS for i in node.all_input_nodes):
                node.meta.pop(_ANNOTATION, None)
            elif node.target in _CLAMPS:
                _fuse_clamp(node)
        last = _last_layer(annotated.graph)
        if last is not None and self._stays_float(annotated, last):
            last.meta.pop(_ANNOTATION, None)
        _drop_dangling(annotated.graph)
        return annotated

    def _stays_float(self, model: fx.GraphModule, last: fx.Node) -> bool:
        if self._spec.last_layer is not LastLayer.AUTO:
            return self._spec.last_layer is LastLayer.FLOAT
        sizes = {node: _elements(node.args[1]) for node in model.graph.nodes if node.target in WEIGHTED}
        return len(sizes) > 1 and sizes[last] <= _CHEAP * sum(sizes.values())


def _fuse_clamp(node: fx.Node) -> None:
    """Round once behind a layer's ReLU6, not before it, too: both runtimes clamp in the layer's own kernel."""
    (layer, *_) = node.all_input_nodes
    annotation = layer.meta.get(_ANNOTATION)
    if layer.target in WEIGHTED and len(layer.users) == 1 and annotation is not None and annotation.output_qspec:
        node.meta[_ANNOTATION] = QuantizationAnnotation(output_qspec=annotation.output_qspec, _annotated=True)
        annotation.output_qspec = None


def _drop_dangling(graph: fx.Graph) -> None:
    """Take the annotation off nodes that share the parameters of one that has none any more, a mean for instance."""
    for node in graph.nodes:  # in order, so that a chain of them falls one after the other
        annotation = node.meta.get(_ANNOTATION)
        if annotation is None:
            continue
        specs = [annotation.output_qspec, *annotation.input_qspec_map.values()]
        shared = [spec.edge_or_node for spec in specs if isinstance(spec, SharedQuantizationSpec)]
        owners = [one if isinstance(one, fx.Node) else one[1] for one in shared]
        if any(_ANNOTATION not in owner.meta for owner in owners):
            del node.meta[_ANNOTATION]


def _last_layer(graph: fx.Graph) -> fx.Node | None:
    """Return the weighted layer that gives the output, with nothing computed behind it; None if there are several."""
    layers = {_producer(node) for node in graph.output_node().all_input_nodes}
    (layer,) = layers if len(layers) == 1 else (None,)
    return layer if layer is not None and layer.target in WEIGHTED else None


def _producer(node: fx.Node) -> fx.Node:
    while node.op == "call_function" and not is_compute(node) and len(node.all_input_nodes) == 1:
        node = node.all_input_nodes[0]
    return node


def _elements(weight: Any) -> int:
    return math.prod(weight.meta["val"].shape)


def _configuration(spec: QuantSpec) -> QuantizationConfig:
    activation = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=HistogramObserver.with_args(ranges=spec.ranges),
    )
    weight = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,  # symmetric: -128 has no counterpart
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=PerChannelWeightObserver.with_args(ranges=spec.ranges),
    )
    # Biases stay float here: each runtime wants its own form of them, see `lower`.
    return QuantizationConfig(activation, activation, weight, None)

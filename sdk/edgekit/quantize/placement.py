"""Placement: where values are rounded. ExecuTorch's XNNPACK quantizer decides, and is refined here."""

from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import QuantizationConfig
from torch import fx
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, SharedQuantizationSpec

from edgekit.quantize.functions import CLAMPS, FLOAT_FUNCTIONS, WEIGHTED
from edgekit.quantize.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.quantize.outermost import float_layers
from edgekit.spec import QuantSpec

_aten = torch.ops.aten
_ANNOTATION = "quantization_annotation"


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
            # Both sides were computed in float, and what follows is rounded anyway: rounding each side first would
            # cost two conversions and their error. The gates of squeeze-and-excite are of this kind.
            if node.target is _aten.mul.Tensor and all(map(_gives_float, node.all_input_nodes)):
                node.meta.pop(_ANNOTATION, None)
            elif node.target in CLAMPS:
                _fuse_clamp(node)
        for layer in float_layers(annotated.graph, self._spec):
            layer.meta.pop(_ANNOTATION, None)
        _leave_sums(annotated.graph)
        _drop_dangling(annotated.graph)
        return annotated


def _fuse_clamp(node: fx.Node) -> None:
    """Round once behind a layer's ReLU6, not before it, too: both runtimes clamp in the layer's own kernel."""
    (layer, *_) = node.all_input_nodes
    annotation = layer.meta.get(_ANNOTATION)
    if layer.target in WEIGHTED and len(layer.users) == 1 and annotation is not None and annotation.output_qspec:
        node.meta[_ANNOTATION] = QuantizationAnnotation(output_qspec=annotation.output_qspec, _annotated=True)
        annotation.output_qspec = None


def _leave_sums(graph: fx.Graph) -> None:
    """Do not round sums that nothing reads in int8: a transformer's go from block to block, and to layer norms."""
    for node in reversed(graph.nodes):  # the last sum first, since the ones before it are read by the next
        if node.target is _aten.add.Tensor and all(_computes_float(user) for user in node.users):
            node.meta.pop(_ANNOTATION, None)


def _gives_float(node: fx.Node) -> bool:
    if node.target is _aten.mul.Tensor:
        return _ANNOTATION not in node.meta
    return node.op == "get_attr" or node.target in FLOAT_FUNCTIONS


def _computes_float(node: fx.Node) -> bool:
    if node.target is _aten.add.Tensor:
        return _ANNOTATION not in node.meta
    return node.target in FLOAT_FUNCTIONS | {_aten.layer_norm.default}


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

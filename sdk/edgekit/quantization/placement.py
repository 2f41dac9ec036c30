"""Placement: where values are rounded. ExecuTorch's XNNPACK quantizer decides, and is refined here."""

from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from torch import fx
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, SharedQuantizationSpec

from edgekit.model.constants import reads_exact
from edgekit.model.graph import is_compute, operation
from edgekit.quantization.configuration import configuration
from edgekit.quantization.everywhere import annotate_everywhere
from edgekit.quantization.functions import CLAMPS, FLOAT_FUNCTIONS, LINEAR, RECTIFIERS, WEIGHTED
from edgekit.quantization.grouping import ANNOTATION, chosen, group
from edgekit.quantization.moved import share_moved
from edgekit.quantization.outermost import float_layers
from edgekit.quantization.recurrent import annotate_recurrent
from edgekit.quantization.scalars import is_float, write_scalars
from edgekit.quantization.tables import annotate_tables
from edgekit.quantization.unroundable import NONE, Unroundable
from edgekit.spec import CPU_PLACING, DYNAMIC, OutermostLayer, Placing, QuantSpec, Scheme

_aten = torch.ops.aten
_CONCATENATION = _aten.cat.default
_MEANS = {_aten.mean.dim, _aten.mean.default, _aten.adaptive_avg_pool2d.default}
# What can as well compute in float.
_WEIGHTLESS = {
    _aten.add.Tensor, _aten.add_.Tensor, _aten.mul.Tensor, _aten.mul_.Tensor, _CONCATENATION, *_MEANS
}  # fmt: skip
_ELEMENTWISE = {
    _aten.to.dtype, _aten._to_copy.default, _aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor
}  # fmt: skip


class Placement(XNNPACKQuantizer):
    """The XNNPACK quantizer, less the roundings that buy nothing."""

    def __init__(
        self,
        scheme: Scheme,
        spec: QuantSpec,
        name: str,
        unroundable: Unroundable = NONE,
        raw: tuple[str, ...] = (),
        placing: Placing = CPU_PLACING,
    ) -> None:
        """Take what `static.prepare` is given, and the model's name for messages."""
        super().__init__()
        self._unroundable, self._raw, self._placing = unroundable, raw, placing
        self._activation = None if scheme in DYNAMIC else configuration(scheme, spec, placing).output_activation
        self._spec = spec
        self._name = name
        self._groups = spec.group_size if scheme is Scheme.W4_DYNAMIC else 1
        self._layers = LINEAR if scheme in DYNAMIC else WEIGHTED
        self.kept: tuple[str, ...] = ()
        """Paths of the layers that ``float_layers`` kept from being quantized, once `annotate` is done."""
        if scheme in DYNAMIC:
            # The type is wrong: it is compared with sets of overloads.
            self.set_operator_type(_aten.linear.default, configuration(scheme, spec))  # type: ignore[arg-type]
        else:
            self.set_global(configuration(scheme, spec, placing))

    def transform_for_annotation(self, model: fx.GraphModule) -> Any:
        """Prepare a graph whose batch norms were folded: scalars become tensors, which can be rounded."""
        write_scalars(model)
        return model

    def annotate(self, model: fx.GraphModule) -> Any:
        """Mark the nodes of a captured graph with how they are to be quantized."""
        self._skip_batch_norms(model)
        annotated = super().annotate(model)
        _leave_integers(annotated.graph)
        if self._activation is None or not self._placing.everywhere:
            _leave_first_steps(annotated.graph, self._raw)
        else:
            annotate_everywhere(annotated.graph, self._placing, self._activation)
        self._leave_unroundable(annotated.graph)
        if self._layers is LINEAR:
            for layer in unfit(annotated.graph, self._groups):
                layer.meta.pop(ANNOTATION, None)
        if not self._everywhere:
            _leave_exact(annotated.graph)
            _leave_gates(annotated.graph)
            _round_means(annotated.graph, self._activation)
        for node in annotated.graph.nodes:
            if node.target in CLAMPS:
                _fuse_clamp(node)
        for layer in float_layers(annotated.graph, self._outermost, self._layers):
            layer.meta.pop(ANNOTATION, None)
        self._leave_floats(annotated.graph)
        _leave_computed_weights(annotated.graph)
        annotate_tables(annotated.graph, self._spec)
        annotate_recurrent(annotated.graph, self._spec)
        if not self._everywhere:
            _leave_unread(annotated.graph)
        # Last: where the other layers are rounded does not depend on it, which the simulation counts on.
        self.kept = self._keep(annotated.graph)
        _drop_dangling(annotated.graph)
        if not self._everywhere:
            share_moved(annotated.graph)
        return annotated

    @property
    def _everywhere(self) -> bool:
        return self._placing.everywhere and self._activation is not None

    @property
    def _outermost(self) -> QuantSpec:
        """The settings, in which no outermost layer stays float by itself where nothing may."""
        if not self._everywhere:
            return self._spec
        ends = {"first_layer": self._spec.first_layer, "last_layer": self._spec.last_layer}
        chosen = {name: OutermostLayer.INT8 if end is OutermostLayer.AUTO else end for name, end in ends.items()}
        return self._spec.model_copy(update=chosen)

    def _leave_unroundable(self, graph: fx.Graph) -> None:
        """Do not round what is not finite: it has no step. Nor what is far from zero, whatever gives or reads it."""
        for node in graph.nodes:
            names = {one.name for one in (node, *node.all_input_nodes)}
            rounded = node.target in _WEIGHTLESS or (self._everywhere and node.target not in WEIGHTED)
            distant = not self._everywhere and not names.isdisjoint(self._unroundable.distant)
            if distant or (rounded and not names.isdisjoint(self._unroundable.unbounded)):
                node.meta.pop(ANNOTATION, None)

    def _leave_floats(self, graph: fx.Graph) -> None:
        """Do not round what the chip has no integers for."""
        for node in graph.nodes:
            if node.op == "call_function" and operation(node) in self._placing.floats:
                node.meta.pop(ANNOTATION, None)

    def _skip_batch_norms(self, model: fx.GraphModule) -> None:
        """Leave out the patterns of a convolution and its batch norm if there is none: tracing them takes 1.3 s.

        Only in training do they stay apart; here they were folded before, see torchao's ``_fuse_conv_bn_``.
        """
        model.graph.eliminate_dead_code()  # as the search for each of them does first
        if not any(_is_normalized_convolution(node) for node in model.graph.nodes):
            self.SUPPORTED_PATTERNS = [one for one in type(self).SUPPORTED_PATTERNS if not one.is_qat]

    def _keep(self, graph: fx.Graph) -> tuple[str, ...]:
        layers = group(graph)
        wanted = chosen(layers, self._spec.float_layers, self._name)
        kept = tuple(path for path in layers if path in wanted and any(ANNOTATION in n.meta for n in layers[path]))
        for node in (node for path in kept for node in layers[path]):
            node.meta.pop(ANNOTATION, None)
        return kept


def _is_normalized_convolution(node: fx.Node) -> bool:
    normed = node.op == "call_function" and "batch_norm" in str(node.target)
    return normed and "conv" in str(node.all_input_nodes[0].target)


def unfit(graph: fx.Graph, group: int) -> list[fx.Node]:
    """Return the linear layers that a dynamic scheme leaves in float.

    These are layers whose weight is computed, and those that `uneven` names.
    """
    layers = [node for node in graph.nodes if node.target in LINEAR]
    return [*uneven(graph, group), *(layer for layer in layers if layer.all_input_nodes[1].op != "get_attr")]


def uneven(graph: fx.Graph, group: int) -> list[fx.Node]:
    """Return the linear layers whose inputs are no multiple of the group that shares a scale."""
    weights = {node: node.all_input_nodes[1] for node in graph.nodes if node.target in LINEAR}
    return [node for node, weight in weights.items() if weight.op == "get_attr" and weight.meta["val"].shape[1] % group]


def _fuse_clamp(node: fx.Node) -> None:
    """Round once behind a layer's ReLU6, not before it, too: both runtimes clamp in the layer's own kernel."""
    (layer, *_) = node.all_input_nodes
    annotation = layer.meta.get(ANNOTATION)
    if layer.target in WEIGHTED and len(layer.users) == 1 and annotation is not None and annotation.output_qspec:
        node.meta[ANNOTATION] = QuantizationAnnotation(output_qspec=annotation.output_qspec, _annotated=True)
        annotation.output_qspec = None


def _round_means(graph: fx.Graph, activation: QuantizationSpec | None) -> None:
    """Give means steps of their own; they vary less than what they are of, whose steps the quantizer gives them."""
    for node in graph.nodes:
        annotation = node.meta.get(ANNOTATION)
        if node.target in _MEANS and annotation is not None and _shares(annotation.output_qspec):
            annotation.output_qspec = activation


def _leave_computed_weights(graph: fx.Graph) -> None:
    """Do not round layers whose weights are computed from the inputs: they have no channels that are known before."""
    for node in graph.nodes:
        if node.target in WEIGHTED and (len(node.args) < 2 or node.args[1].op != "get_attr"):
            node.meta.pop(ANNOTATION, None)


def _leave_integers(graph: fx.Graph) -> None:
    """Do not round positions, masks and counts: integers are exact as they are."""
    for node in graph.nodes:
        if annotation := node.meta.get(ANNOTATION):
            rounded = [source for source, spec in annotation.input_qspec_map.items() if spec is not None]
            if node.op == "call_function" and not all(map(is_float, (node, *rounded))):
                del node.meta[ANNOTATION]


def _leave_exact(graph: fx.Graph) -> None:
    """Do not round what reads a constant that is never rounded: a Fourier transform's, or that of a raw input."""
    for node in graph.nodes:
        if reads_exact(node):
            node.meta.pop(ANNOTATION, None)


def _leave_first_steps(graph: fx.Graph, raw: tuple[str, ...]) -> None:
    """Do not round what pixels are scaled to by constants: bytes are exact, and the first layer rounds once.

    Nor what raw inputs are, whose features have no step in common.
    """
    exact = set[fx.Node]()
    for node in graph.nodes:
        if node.op == "placeholder" and (node.meta["val"].dtype == torch.uint8 or node.name in raw):
            exact.add(node)
        elif node.target in _ELEMENTWISE or not is_compute(node):
            sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
            if sources and exact.issuperset(sources):
                exact.add(node)
                node.meta.pop(ANNOTATION, None)


def _leave_gates(graph: fx.Graph) -> None:
    """Do not round what both sides of a product computed in float: what follows is rounded anyway.

    Rounding each side first would cost two conversions and their error. The gates of squeeze-and-excite are such.
    """
    for node in graph.nodes:
        if node.target is _aten.mul.Tensor and all(map(_gives_float, node.all_input_nodes)):
            node.meta.pop(ANNOTATION, None)


def _leave_unread(graph: fx.Graph) -> None:
    """Do not round what nothing reads in int8, where what gives it can as well compute in float.

    The sums of a transformer go from block to block, and to layer norms; a mask of -10000 is added to scores that a
    softmax reads; boxes in pixels stand beside scores in what a detector returns; the mean behind a last convolution is
    the answer itself. Rounded, they lose more than any other value, and nobody is served. A layer with weights is
    another matter: it multiplies integers only if its output is rounded.
    """
    for node in reversed(graph.nodes):  # the last first, since what reads a value decides about it
        if ANNOTATION in node.meta and _may_stay_float(node) and not any(map(_reads_int8, node.users)):
            node.meta.pop(ANNOTATION, None)


def _may_stay_float(node: fx.Node) -> bool:
    """Whether a node computes without weights, or is the ReLU that is rounded in place of one that does."""
    if node.target in RECTIFIERS and node.meta[ANNOTATION].output_qspec is not None:
        return node.all_input_nodes[0].target in _WEIGHTLESS
    return node.target in _WEIGHTLESS


def _reads_int8(node: fx.Node) -> bool:
    """Whether a node computes with integers, or hands on what it reads to one that does."""
    if node.op != "call_function":
        return False
    annotation = node.meta.get(ANNOTATION)
    hands_on = annotation is None and not is_compute(node)
    if hands_on or (annotation is not None and _shares(annotation.output_qspec) and node.target is not _CONCATENATION):
        return any(map(_reads_int8, node.users))
    return annotation is not None


def _shares(spec: object) -> bool:
    return isinstance(spec, SharedQuantizationSpec)


def _gives_float(node: fx.Node) -> bool:
    if node.target is _aten.mul.Tensor:
        return ANNOTATION not in node.meta
    return node.op == "get_attr" or node.target in FLOAT_FUNCTIONS


def _drop_dangling(graph: fx.Graph) -> None:
    """Take the annotation off nodes that share the parameters of one that has none any more, a mean for instance."""
    for node in graph.nodes:  # in order, so that a chain of them falls one after the other
        annotation = node.meta.get(ANNOTATION)
        if annotation is None:
            continue
        specs = [annotation.output_qspec, *annotation.input_qspec_map.values()]
        shared = [spec.edge_or_node for spec in specs if isinstance(spec, SharedQuantizationSpec)]
        owners = [one if isinstance(one, fx.Node) else one[1] for one in shared]
        if any(ANNOTATION not in owner.meta for owner in owners):
            del node.meta[ANNOTATION]

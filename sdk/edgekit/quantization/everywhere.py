"""Rounding everywhere: for a chip that computes with integers, every value of floats between two operations is rounded.

What a processor computes in float between two roundings such a chip hands to another processor, or computes in half
precision; both cost more than the rounding.
"""

import torch
from torch import fx
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    QuantizationSpecBase,
    SharedQuantizationSpec,
)

from edgekit.model.graph import is_compute, operation
from edgekit.quantization.functions import CHOOSING, RECTIFIERS
from edgekit.quantization.grouping import ANNOTATION
from edgekit.quantization.scalars import is_float
from edgekit.spec import Placing

_aten = torch.ops.aten
# Parameters of these stay as they are: the operation is one kernel that reads them in float or wide integers.
_KEEPS_PARAMETERS = {"layer_norm", "batch_norm", "group_norm", "instance_norm", "embedding", "rms_norm"}


def annotate_everywhere(graph: fx.Graph, placing: Placing, activation: QuantizationSpec) -> None:
    """Mark what is not marked yet: what it reads and what it gives is rounded.

    Args:
        graph: A captured graph in which the layers with weights are marked.
        placing: What is left in float.
        activation: How values are rounded.
    """
    for node in graph.nodes:
        if node.op != "call_function" or operation(node) in placing.floats:
            continue
        annotation = node.meta.get(ANNOTATION)
        if annotation is None:
            _annotate(node, activation)
        elif annotation.output_qspec is None and not _is_fused(node) and is_float(node):
            annotation.output_qspec = activation
        elif node.target in RECTIFIERS and isinstance(annotation.output_qspec, SharedQuantizationSpec):
            annotation.output_qspec = activation  # half of the steps would be for values that are cut off
    graph.lint()


def _annotate(node: fx.Node, activation: QuantizationSpec) -> None:
    name = operation(node)
    reads = [one for one in node.all_input_nodes if is_float(one) and _is_rounded(one, name)]
    if not reads:
        return
    output: QuantizationSpec | SharedQuantizationSpec | None = activation if is_float(node) else None
    if output is not None and (name in CHOOSING or not is_compute(node)):
        output = SharedQuantizationSpec((reads[0], node))
    inputs: dict[fx.Node, QuantizationSpecBase | None] = dict.fromkeys(reads, activation)
    node.meta[ANNOTATION] = QuantizationAnnotation(input_qspec_map=inputs, output_qspec=output, _annotated=True)


def _is_rounded(source: fx.Node, reader: str) -> bool:
    return source.op != "get_attr" or reader not in _KEEPS_PARAMETERS


def _is_fused(node: fx.Node) -> bool:
    """Whether the only reader of a value is what it is rounded behind: the layer's own activation."""
    users = list(node.users)
    return len(users) == 1 and users[0].target in RECTIFIERS and ANNOTATION in users[0].meta

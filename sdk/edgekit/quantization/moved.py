"""Values that are only moved: rounded once, behind the operation that gives them, they stay on the same steps.

A pad by reflection, a roll, one of several chunks or an enlarged map holds nothing but values of what it was made of.
If its reader chose steps of its own, it would round a second time what is rounded already, and gain nothing.
"""

import operator
from typing import Any

import torch
from torch import fx
from torchao.quantization.pt2e.quantizer import QuantizationSpec, SharedQuantizationSpec

from edgekit.model.graph import is_compute, operation
from edgekit.quantization.functions import CHOOSING
from edgekit.quantization.grouping import ANNOTATION
from edgekit.quantization.scalars import is_float

_aten = torch.ops.aten


def share_moved(graph: fx.Graph) -> None:
    """Let what reads moved values round them to the steps that they are on, in place.

    Args:
        graph: A captured graph in which all that is rounded is marked.
    """
    for node in graph.nodes:
        annotation = node.meta.get(ANNOTATION)
        if annotation is None or node.target is _aten.cat.default:  # all that is joined has the steps of the whole
            continue
        for source, spec in annotation.input_qspec_map.items():
            origin = _origin(source)
            if isinstance(spec, QuantizationSpec) and origin is not source and _is_rounded(origin):
                annotation.input_qspec_map[source] = SharedQuantizationSpec(origin)


def _origin(node: fx.Node) -> fx.Node:
    """Return the first node behind which the values of another were only moved."""
    while ANNOTATION not in node.meta and moves(node):
        node = node.all_input_nodes[0]
    return node


def moves(node: fx.Node) -> bool:
    """Whether a node gives values of its first input, and zeros, which every rounding has a step for."""
    if node.op != "call_function":
        return False
    if node.target is operator.getitem:
        return True
    name = operation(node)
    if name in ("pad", "constant_pad_nd"):
        return _pads_by_zero(node)
    chosen = name in CHOOSING or not is_compute(node)
    return chosen and bool(node.all_input_nodes) and is_float(node.all_input_nodes[0])


def _pads_by_zero(node: fx.Node) -> bool:
    given: tuple[Any, ...] = node.args
    mode = given[2] if operation(node) == "pad" and len(given) > 2 else "constant"
    return mode != "constant" or not any(given[3:] if operation(node) == "pad" else given[2:])


def _is_rounded(node: fx.Node) -> bool:
    annotation = node.meta.get(ANNOTATION)
    return annotation is not None and annotation.output_qspec is not None

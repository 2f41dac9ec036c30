"""Which layer of the person's model an operation of a runtime computes.

Neither runtime carries a map. XNNPACK numbers its operators by kind in the order of running, and the nodes of our
``.onnx`` are numbered by kind in the order of the program, so the layers with weights are told by their numbers, where
a kind has as many operations as the program has nodes. All else is left open: what runs in between is moved, fused and
split.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from torch import fx

from edgekit.bundles.cost import OperatorTime
from edgekit.model.graph import operation
from edgekit.pipeline.profiling.places import layers_of
from edgekit.spec import Format

_NODES = {
    "convolution": ("conv1d", "conv2d", "conv3d", "convolution"),
    "transposed": ("conv_transpose1d", "conv_transpose2d"),
    "linear": ("linear",),
}
_XNNPACK = {"Convolution": "convolution", "Deconvolution": "transposed", "Fully Connected": "linear"}
_ONNX = {"conv": "convolution", "convtranspose": "transposed", "gemm": "linear"}


def owned(
    format: Format, operators: Sequence[OperatorTime], program: fx.Graph, known: frozenset[str]
) -> tuple[OperatorTime, ...]:
    """Return the operations with their layers, as far as these can be told.

    Args:
        format: The artifact's format.
        operators: Its operations, in the order of running.
        program: The graph of the program that it was lowered from.
        known: Paths of the layers.
    """
    layers = layers_of(program, known)
    places = list(_onnx(operators) if format is Format.ONNX else _xnnpack(operators))
    found: dict[int, str] = {}
    for family, kinds in _NODES.items():
        nodes = [node for node in program.nodes if node.op == "call_function" and operation(node) in kinds]
        here = {number: place for place, kind, number in places if kind == family}
        if sorted(here) == list(range(len(nodes))):
            found |= {here[number]: layers[node.name] for number, node in enumerate(nodes) if node.name in layers}
    return tuple(one.model_copy(update={"layer": found.get(place)}) for place, one in enumerate(operators))


def _xnnpack(operators: Sequence[OperatorTime]) -> Iterator[tuple[int, str, int]]:
    """Yield place, family and number of each operation that has one."""
    counts: dict[str, int] = {}
    for place, one in enumerate(operators):
        family = next((kind for start, kind in _XNNPACK.items() if one.operator.startswith(start)), None)
        if family is not None:
            yield place, family, counts.get(family, 0)
            counts[family] = counts.get(family, 0) + 1


def _onnx(operators: Sequence[OperatorTime]) -> Iterator[tuple[int, str, int]]:
    names: Mapping[str, str] = _ONNX
    for place, one in enumerate(operators):
        match = re.match(r"([a-z]+)_(\d+)(?:_|$)", one.name)  # what ONNX Runtime fuses keeps the name of its first node
        if match is not None and match[1] in names:
            yield place, names[match[1]], int(match[2])

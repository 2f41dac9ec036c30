"""Which layer of the person's model an operation of a runtime computes.

Neither runtime carries a map. XNNPACK runs operators with weights in the order of the program, and the nodes of our
``.onnx`` are numbered by kind in that order, so the layers with weights are told by their numbers, where there are as
many operations as the program has nodes. All else is left open: what runs in between is moved, fused and split.
"""

import re
from collections.abc import Iterator, Sequence

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
_ONNX = {"conv": "convolution", "convtranspose": "transposed", "gemm": "linear"}
# What each kind may have been in the program: a convolution of a single pixel is computed as a linear layer.
_XNNPACK = {
    "Convolution": ("convolution",),
    "Deconvolution": ("transposed",),
    "Fully Connected": ("linear", "convolution"),
}


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
    found = dict(_onnx(operators, program) if format is Format.ONNX else _xnnpack(operators, program))
    return tuple(
        one.model_copy(update={"layer": layers.get(found[place]) if place in found else None})
        for place, one in enumerate(operators)
    )


def _nodes(program: fx.Graph) -> list[tuple[str, str]]:
    """Return the family and the name of each node with weights, in the order of the program."""
    kinds = {kind: family for family, names in _NODES.items() for kind in names}
    calls = [node for node in program.nodes if node.op == "call_function"]
    return [(kinds[kind], node.name) for node in calls if (kind := operation(node)) in kinds]


def _xnnpack(operators: Sequence[OperatorTime], program: fx.Graph) -> Iterator[tuple[int, str]]:
    """Yield the place of each operation that a node is known of, and the node's name."""
    nodes, places = _nodes(program), []
    for place, one in enumerate(operators):
        families = next((names for start, names in _XNNPACK.items() if one.operator.startswith(start)), None)
        if families is not None:
            places.append((place, families))
    pairs = list(zip(places, nodes, strict=False))
    if len(places) == len(nodes) and all(family in families for (_, families), (family, _) in pairs):
        yield from ((place, name) for (place, _), (_, name) in pairs)


def _onnx(operators: Sequence[OperatorTime], program: fx.Graph) -> Iterator[tuple[int, str]]:
    here: dict[str, dict[int, int]] = {}
    for place, one in enumerate(operators):
        match = re.match(r"([a-z]+)_(\d+)(?:_|$)", one.name)  # what ONNX Runtime fuses keeps the name of its first node
        if match is not None and match[1] in _ONNX:
            here.setdefault(_ONNX[match[1]], {})[int(match[2])] = place
    for family, places in here.items():
        names = [name for kind, name in _nodes(program) if kind == family]
        if sorted(places) == list(range(len(names))):
            yield from ((places[number], name) for number, name in enumerate(names))

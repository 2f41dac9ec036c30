"""The first and the last layer: their rounding cannot be made up for, and keeping them float often costs little."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import is_compute
from edgekit.quantization.functions import WEIGHTED
from edgekit.spec import OutermostLayer, QuantSpec

_aten = torch.ops.aten
# A layer stays float if that costs at most this share of all weights, and of all multiplications.
_FEW_WEIGHTS = 0.04
_FEW_PRODUCTS = 0.05


def float_layers(graph: fx.Graph, spec: QuantSpec, kinds: Collection[Any] = WEIGHTED) -> list[fx.Node]:
    """Return those of the first and the last layer that stay float.

    Args:
        graph: A captured graph.
        spec: Says which of the two stay float, or that it depends on what they cost.
        kinds: The operations that the scheme quantizes; only among these is the first or the last layer.
    """
    layers = [node for node in graph.nodes if node.target in kinds]
    wanted = ((_first_layer(graph, layers), spec.first_layer), (_last_layer(graph, layers), spec.last_layer))
    return [layer for layer, choice in wanted if layer is not None and _stays_float(layers, layer, choice)]


def _stays_float(layers: list[fx.Node], layer: fx.Node, choice: OutermostLayer) -> bool:
    if choice is not OutermostLayer.AUTO:
        return choice is OutermostLayer.FLOAT
    few_weights = _weights(layer) <= _FEW_WEIGHTS * sum(map(_weights, layers))
    return few_weights and _products(layer) <= _FEW_PRODUCTS * sum(map(_products, layers))


def _first_layer(graph: fx.Graph, layers: list[fx.Node]) -> fx.Node | None:
    """Return the layer that reads the input; None if there are several inputs or readers."""
    inputs = graph.find_nodes(op="placeholder")
    first = [layer for layer in layers if _origin(layer.all_input_nodes[0]) is inputs[0]]
    return first[0] if len(inputs) == 1 and len(first) == 1 else None


def _last_layer(graph: fx.Graph, layers: list[fx.Node]) -> fx.Node | None:
    """Return the layer that gives the output, with nothing but a mean behind it; None if there are several."""
    sources = {_origin(node) for node in graph.output_node().all_input_nodes}
    (layer,) = sources if len(sources) == 1 else (None,)
    return layer if layer in layers else None


def _origin(node: fx.Node) -> fx.Node:
    """Go back over what only moves data or takes means."""
    while node.op == "call_function" and len(node.all_input_nodes) == 1:
        if is_compute(node) and node.target is not _aten.mean.dim:
            break
        node = node.all_input_nodes[0]
    return node


def _weights(layer: fx.Node) -> int:
    return math.prod(_sizes(layer.args[1]))


def _products(layer: fx.Node) -> int:
    """Return the multiplications for one sample: each output takes one for each weight of its channel."""
    outputs = math.prod(_sizes(layer))
    return outputs * _weights(layer) // _sizes(layer.args[1])[0]


def _sizes(node: object) -> list[int]:
    assert isinstance(node, fx.Node)
    return [size for size in node.meta["val"].shape if isinstance(size, int)]  # without those that vary

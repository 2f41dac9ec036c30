"""Heads: a last layer that gives boxes and scores in one becomes a layer for each, so that each has a scale of its own.

A runtime has one scale for all channels of a value. Boxes in pixels beside scores leave the scores a few steps. Where a
network takes such a value apart at once, its layer can be taken apart as well, by output channels, and nothing else is
computed. That is done for layers that no other layer with weights follows: elsewhere the parts are of one kind, the
queries, keys and values of attention say, and one layer is faster than several.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgekit.model.graph import module_path
from edgekit.quantization.attributes import attribute
from edgekit.quantization.functions import WEIGHTED

_aten = torch.ops.aten
# By operation the axis of its channels, and the place of its groups; transposed ones hold their channels otherwise.
_LAYERS: dict[Any, tuple[int, int | None]] = {
    _aten.conv1d.default: (1, 6),
    _aten.conv2d.default: (1, 6),
    _aten.linear.default: (-1, None),
}
_SPLITS = {_aten.split.Tensor, _aten.split_with_sizes.default, _aten.chunk.default}
_MOST = 8


def split_heads(module: fx.GraphModule) -> tuple[str, ...]:
    """Give each part that a last layer's output is taken apart into a layer of its own, in place.

    Args:
        module: A captured float graph whose parameters are its own, each read by one layer.

    Returns:
        The paths of the layers.
    """
    feeds: set[fx.Node] = set()
    found = []
    for node in reversed(module.graph.nodes):
        if any(user.target in WEIGHTED or user in feeds for user in node.users):
            feeds.add(node)
        elif node.target in _LAYERS and (parts := _parts(node)):
            _take_apart(module, node, parts)
            found.append(module_path(node) or node.name)
    if found:
        module.graph.eliminate_dead_code()
        module.recompile()
    return tuple(reversed(found))


def _parts(layer: fx.Node) -> dict[fx.Node, tuple[int, int]]:
    """Return what takes parts of a layer's output, with the channels of each; nothing if anything reads it all."""
    axis, groups = _LAYERS[layer.target]
    value = layer.meta["val"]
    if groups is not None and len(layer.args) > groups and layer.args[groups] != 1:
        return {}
    if not all(isinstance(one, fx.Node) and one.op == "get_attr" for one in layer.args[1:3] if one is not None):
        return {}
    axis, channels = axis % value.dim(), value.shape[axis]
    found: dict[fx.Node, tuple[int, int]] = {}
    for user in layer.users:
        if user.target in _SPLITS and _axis(user, 2) % value.dim() == axis:
            ends = [0]
            for one in user.meta["val"]:
                ends.append(ends[-1] + one.shape[axis])
            for part in user.users:
                number = part.args[1]
                assert isinstance(number, int)
                found[part] = (ends[number], ends[number + 1])
        elif user.target is _aten.slice.Tensor and _axis(user, 1) % value.dim() == axis:
            bounds = _bounds(user, channels)
            if bounds is None:
                return {}
            found[user] = bounds
        else:
            return {}
    places = sorted(set(found.values()))
    apart = all(before[1] <= after[0] for before, after in pairwise(places))
    return found if apart and 1 < len(places) <= _MOST else {}


def _axis(node: fx.Node, place: int) -> int:
    axis = node.args[place] if len(node.args) > place else node.kwargs.get("dim", 0)
    assert isinstance(axis, int)
    return axis


def _bounds(node: fx.Node, channels: int) -> tuple[int, int] | None:
    """Return the channels that a slice takes; None if they do not lie behind each other, or are computed."""
    given: list[Any] = list(node.args[2:])
    start, end, step = given + [None, None, 1][len(given) :]
    if step != 1 or not isinstance(start, int | None) or not isinstance(end, int | None):
        return None
    taken = range(channels)[slice(start, end)]
    return (taken.start, taken.stop) if len(taken) else None


def _take_apart(module: fx.GraphModule, layer: fx.Node, parts: dict[fx.Node, tuple[int, int]]) -> None:
    assert callable(layer.target)
    graph = module.graph
    layers: dict[tuple[int, int], fx.Node] = {}
    for part, (start, end) in parts.items():
        if (start, end) not in layers:
            with graph.inserting_before(layer):
                given = [
                    _rows(module, one, start, end) if isinstance(one, fx.Node) else None for one in layer.args[1:3]
                ]
                made = graph.call_function(layer.target, (layer.args[0], *given, *layer.args[3:]), layer.kwargs)
            made.meta = {**layer.meta, "val": part.meta["val"]}
            layers[start, end] = made
        part.replace_all_uses_with(layers[start, end])
    for part in parts:
        graph.erase_node(part)


def _rows(module: fx.GraphModule, stored: fx.Node, start: int, end: int) -> fx.Node:
    """Return some rows of a parameter, as one of its own."""
    name = f"{str(stored.target).replace('.', '_')}_{start}_{end}"
    value: Tensor = attribute(module, stored)[start:end]
    module.register_parameter(name, nn.Parameter(value.clone(), requires_grad=False))
    node = module.graph.get_attr(name)
    node.meta = {**stored.meta, "val": stored.meta["val"][start:end]}
    return node

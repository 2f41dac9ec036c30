"""Heads: a last layer that gives boxes and scores in one becomes a layer for each, so that each has a scale of its own.

A runtime has one scale for all channels of a value. Boxes in pixels beside scores leave the scores a few steps. Where a
network takes such a value apart, at once or viewed in another shape, its layer can be taken apart as well, by output
channels, and nothing else is computed. That is done for layers that no other layer with weights follows: elsewhere the
parts are of one kind, the queries, keys and values of attention say, and one layer is faster than several.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgekit.model.graph import module_path
from edgekit.quantization.attributes import attribute
from edgekit.quantization.factors import VIEWS, Factors, through
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


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A value that holds some channels of a layer's output."""

    node: fx.Node
    path: tuple[fx.Node, ...]
    """What lies between, of which each operation only gives the values another shape."""
    axes: tuple[int, ...]
    """The axis that holds its channels, in what each operation of the path gives."""
    share: tuple[int, int]
    """How many it takes along the last of them, and of how many."""
    channels: tuple[int, ...]


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
        elif node.target in _LAYERS and (parts := _apart(node)):
            _take_apart(module, node, parts)
            found.append(module_path(node) or node.name)
    if found:
        module.graph.eliminate_dead_code()
        module.recompile()
    return tuple(reversed(found))


def _apart(layer: fx.Node) -> list[_Part]:
    """Return what takes parts of a layer's output; nothing if anything reads it all, or two share some of it."""
    axis, groups = _LAYERS[layer.target]
    value = layer.meta["val"]
    if groups is not None and len(layer.args) > groups and layer.args[groups] != 1:
        return []
    if not all(isinstance(one, fx.Node) and one.op == "get_attr" for one in layer.args[1:3] if one is not None):
        return []
    axis = axis % value.dim()
    found = _parts(layer, (), [Factors(sizes=(value.shape[axis],), axes=(axis,))])
    kinds = {part.channels for part in found or []}
    disjoint = sum(map(len, kinds)) == len(set().union(*kinds))
    return found if found and disjoint and 1 < len(kinds) <= _MOST else []


def _parts(node: fx.Node, path: tuple[fx.Node, ...], known: list[Factors]) -> list[_Part] | None:
    """Return the parts that are taken of a value, or of what it is viewed as; None if anything reads more than a part.

    Args:
        node: The value.
        path: The operations that it comes from a layer's output by, itself the last.
        known: Where the channels lie in the layer's output and in what each of them gives.
    """
    found = list[_Part]()
    for user in node.users:
        taken = _taken(user, node.meta["val"])
        if taken is None:
            beyond = through(user, known[-1]) if user.op == "call_function" else None
            more = None if beyond is None else _parts(user, (*path, user), [*known, beyond])
            if more is None:
                return None
            found += more
            continue
        axis, pieces = taken
        factor = known[-1].at(axis)
        if factor is None:
            return None
        axes = tuple(one.holding(known[-1], factor) for one in known[1:])
        for part, (start, end) in pieces.items():
            channels = known[-1].channels(factor, start, end)
            share = end - start, known[-1].sizes[factor]
            found.append(_Part(node=part, path=path, axes=axes, share=share, channels=channels))
    return found


def _taken(user: fx.Node, value: Tensor) -> tuple[int, dict[fx.Node, tuple[int, int]]] | None:
    """Return the axis that an operation takes a value apart along, and the range of each part; None if it does not."""
    if user.target in _SPLITS:
        axis, ends = _axis(user, 2) % value.dim(), [0]
        for one in user.meta["val"]:
            ends.append(ends[-1] + one.shape[axis])
        return axis, {part: (ends[number], ends[number + 1]) for part, number in _numbered(user)}
    if user.target is _aten.slice.Tensor:
        axis = _axis(user, 1) % value.dim()
        bounds = _bounds(user, value.shape[axis]) if isinstance(value.shape[axis], int) else None
        return None if bounds is None else (axis, {user: bounds})
    return None


def _numbered(split: fx.Node) -> list[tuple[fx.Node, int]]:
    return [(part, number) for part in split.users if isinstance(number := part.args[1], int)]


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


def _take_apart(module: fx.GraphModule, layer: fx.Node, parts: list[_Part]) -> None:
    made: dict[tuple[fx.Node, tuple[int, ...]], fx.Node] = {}
    for part in parts:
        if (layer, part.channels) not in made:
            made[layer, part.channels] = _layer_of(module, layer, part)
        value = made[layer, part.channels]
        for step, axis in zip(part.path, part.axes, strict=True):
            if (step, part.channels) not in made:
                made[step, part.channels] = _again(module.graph, step, value, axis, part.share)
            value = made[step, part.channels]
        part.node.replace_all_uses_with(value)
    for part in parts:
        module.graph.erase_node(part.node)


def _layer_of(module: fx.GraphModule, layer: fx.Node, part: _Part) -> fx.Node:
    """Return a layer that gives some channels of another."""
    assert callable(layer.target)
    with module.graph.inserting_before(layer):
        given = [_rows(module, one, part.channels) if isinstance(one, fx.Node) else None for one in layer.args[1:3]]
        made = module.graph.call_function(layer.target, (layer.args[0], *given, *layer.args[3:]), layer.kwargs)
    made.meta = {**layer.meta, "val": layer.meta["val"].narrow(_LAYERS[layer.target][0], 0, len(part.channels))}
    return made


def _again(graph: fx.Graph, step: fx.Node, value: fx.Node, axis: int, share: tuple[int, int]) -> fx.Node:
    """Return an operation that gives another shape, for a share of the channels along an axis of what it gives."""
    given = [value, *step.args[1:]]
    if step.target in VIEWS:
        assert isinstance(given[1], list | tuple)
        shape: list[Any] = list(given[1])
        if isinstance(shape[axis], int) and shape[axis] != -1:
            shape[axis] = shape[axis] * share[0] // share[1]
        given[1] = shape
    with graph.inserting_before(step):
        assert callable(step.target)
        made = graph.call_function(step.target, tuple(given), step.kwargs)
    before = step.meta["val"]
    made.meta = {**step.meta, "val": before.narrow(axis, 0, before.shape[axis] * share[0] // share[1])}
    return made


def _rows(module: fx.GraphModule, stored: fx.Node, channels: tuple[int, ...]) -> fx.Node:
    """Return some rows of a parameter, as one of its own."""
    name = f"{str(stored.target).replace('.', '_')}_{channels[0]}_{channels[-1]}_{len(channels)}"
    value: Tensor = attribute(module, stored)[list(channels)]
    module.register_parameter(name, nn.Parameter(value, requires_grad=False))
    node = module.graph.get_attr(name)
    node.meta = {**stored.meta, "val": stored.meta["val"].narrow(0, 0, len(channels))}
    return node

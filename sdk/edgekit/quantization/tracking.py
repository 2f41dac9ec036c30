"""Follow the channels through a graph: which of them must be scaled alike, who writes them, and who makes up for it."""

from itertools import pairwise
from typing import Any

import torch
from torch import fx

from edgekit.quantization.channels import Channels, Kind, Reader, Tracked, Writer
from edgekit.quantization.functions import FLOAT_FUNCTIONS, RECTIFIERS, WEIGHTED
from edgekit.quantization.uses import families

# One input, whose channels they keep apart and at their scale.
_aten = torch.ops.aten
_HOMOGENEOUS = {
    _aten.relu.default, _aten.relu_.default, _aten.max_pool2d.default, _aten.max_pool1d.default,
    _aten.avg_pool2d.default, _aten.avg_pool1d.default, _aten.adaptive_avg_pool2d.default,
    _aten.adaptive_avg_pool1d.default, _aten.dropout.default, _aten.clone.default, _aten.contiguous.default,
}  # fmt: skip


def track(graph: fx.Graph, kinds: frozenset[Kind]) -> Channels:
    """Follow the channels through a captured graph.

    Args:
        graph: The graph; no parameter has several uses, see `uses.separate`.
        kinds: What may write channels that are scaled.
    """
    follow = _Follow(kinds)
    for node in graph.nodes:
        if node.op == "output" or (node.op == "call_function" and not follow.node(node)):
            for source in node.all_input_nodes:
                follow.found.hold(source)
    for family in families(graph.nodes).values():
        _join_family(follow.found, family)
    return follow.found


def _join_family(found: Channels, family: list[fx.Node]) -> None:
    """Let the uses of what was one parameter be scaled alike, or not at all: their weights stay the same that way."""
    members = set(family)
    readers = [reader for reader in found.readers if reader.weight in members]
    writers = [writer for writer in found.writers if not members.isdisjoint(writer.parameters)]
    for channels, data in (
        ([reader.channels for reader in readers], [reader.data for reader in readers]),
        ([writer.channels for writer in writers], [writer.node for writer in writers]),
    ):
        for one, other in pairwise(channels):
            found.join(one, other)
        if len(channels) < len(members):
            for node in data:
                found.hold(node)


class _Follow:
    """Notes node by node what happens to channels. A method returns False if it does not know, and they are held."""

    def __init__(self, kinds: frozenset[Kind]) -> None:
        self.found = Channels()
        self._kinds = kinds

    def node(self, node: fx.Node) -> bool:
        if node.target in WEIGHTED:
            return self._layer(node)
        if node.target is _aten.batch_norm.default:
            return self._norm(node, Kind.LAYER, 1, _argument(node, 1), _argument(node, 2))
        if node.target is _aten.layer_norm.default:
            return self._norm(node, Kind.NORM, _rank(node) - 1, _argument(node, 2), _argument(node, 3))
        if node.target is _aten.cat.default:
            return self._concatenation(node)
        if node.target is _aten.add.Tensor and not node.kwargs:
            return self._sum(node)
        if node.target is _aten.mul.Tensor:
            return self._gated(node)
        return self._homogeneous(node)

    def _homogeneous(self, node: fx.Node) -> bool:
        data = _argument(node, 0)
        if not isinstance(data, fx.Node) or data not in self.found.values:
            return False
        tracked = self.found.values[data]
        if node.target is _aten.mean.dim:
            axes = {axis % _rank(data) for axis in _argument(node, 1) or range(_rank(data))}
            if tracked.axis in axes:
                return False
            if not _argument(node, 2):  # keepdim
                tracked = Tracked(axis=tracked.axis - sum(a < tracked.axis for a in axes), channels=tracked.channels)
        elif node.target is _aten.reshape.default:
            # A picture of one pixel becomes a vector; whatever else a reshape does mixes channels with places.
            end = tracked.axis + 1
            if _sizes(data)[:end] != _sizes(node)[:end] or {*_sizes(data)[end:], *_sizes(node)[end:]} - {1}:
                return False
        elif node.target not in _HOMOGENEOUS:
            return False
        self.found.values[node] = tracked
        return True

    def _layer(self, node: fx.Node) -> bool:
        data, weight, bias = (_argument(node, index) for index in range(3))
        linear = node.target is _aten.linear.default
        axis = _rank(node) - 1 if linear else 1
        tracked = self.found.values.get(data)
        own = self._is_own(weight) and (bias is None or self._is_own(bias))
        if own and tracked is not None and tracked.axis == axis:
            groups = 1 if linear else _argument(node, 6, 1)
            self.found.readers.append(Reader(data=data, weight=weight, channels=tracked.channels, groups=groups))
        else:
            self.found.hold(data)
        if own and Kind.LAYER in self._kinds:
            self._write(node, Kind.LAYER, axis, tuple(part for part in (weight, bias) if part is not None))
        return True

    def _norm(self, node: fx.Node, kind: Kind, axis: int, gain: Any, offset: Any) -> bool:
        """Scale behind a norm, by its own gain and offset: what goes in is measured, and stays as it is."""
        self.found.hold(node.args[0])
        if kind in self._kinds and self._is_own(gain) and self._is_own(offset) and _rank(gain) == 1:
            self._write(node, kind, axis, (gain, offset))
        return True

    def _write(self, node: fx.Node, kind: Kind, axis: int, parameters: tuple[fx.Node, ...]) -> None:
        channels = self.found.fresh(_sizes(parameters[0])[0])
        self.found.writers.append(Writer(node=node, kind=kind, parameters=parameters, channels=channels))
        self.found.values[node] = Tracked(axis=axis, channels=channels)

    def _concatenation(self, node: fx.Node) -> bool:
        parts, axis = _argument(node, 0), _argument(node, 1, 0) % _rank(node)
        tracked = [self.found.values[part] for part in parts if part in self.found.values]
        if len(tracked) < len(parts) or any(part.axis != axis for part in tracked):
            return False
        self.found.values[node] = Tracked(axis=axis, channels=torch.cat([part.channels for part in tracked]))
        return True

    def _sum(self, node: fx.Node) -> bool:
        first, second = _argument(node, 0), _argument(node, 1)
        one, other = (self.found.values.get(part) for part in (first, second))
        if one is None or other is None or one.axis != other.axis or _sizes(first) != _sizes(second):
            return False
        self.found.join(one.channels, other.channels)
        self.found.values[node] = one
        return True

    def _gated(self, node: fx.Node) -> bool:
        """Scale a product by one of its factors, or else by its gate, as in squeeze-and-excite; the other stays."""
        factors = _argument(node, 0), _argument(node, 1)
        for data, gate in (factors, factors[::-1]):
            if isinstance(data, fx.Node) and data in self.found.values and _sizes(data) == _sizes(node):
                self.found.hold(gate)
                self.found.values[node] = self.found.values[data]
                return data is not gate
        for data, gate in (factors, factors[::-1]):
            if not isinstance(gate, fx.Node) or len(gate.users) > 1 or gate.target not in FLOAT_FUNCTIONS:
                continue
            sizes = _sizes(gate)
            if len(sizes) == 4 and sizes[1:] == (_sizes(node)[1], 1, 1) and Kind.LAYER in self._kinds:
                self.found.hold(data)
                channels = self.found.fresh(sizes[1])
                self.found.writers.append(Writer(node=node, kind=Kind.LAYER, gate=gate, channels=channels))
                self.found.values[node] = Tracked(axis=1, channels=channels)
                return True
        return False

    def _is_own(self, parameter: Any) -> bool:
        return isinstance(parameter, fx.Node) and parameter.op == "get_attr" and len(parameter.users) == 1


def measured(graph: fx.Graph, found: Channels) -> dict[fx.Node, Tracked]:
    """Return the values whose ranges count: those that are rounded."""
    nodes = {reader.data for reader in found.readers}
    for node in graph.nodes:
        if node.target in (_aten.add.Tensor, _aten.cat.default, _aten.mul.Tensor):
            nodes |= {node, *node.all_input_nodes}
        elif node.target in RECTIFIERS:
            nodes.add(node)
    return {node: found.values[node] for node in graph.nodes if node in nodes and node in found.values}


def _argument(node: fx.Node, index: int, default: Any = None) -> Any:
    return node.args[index] if index < len(node.args) else default


def _sizes(node: fx.Node) -> tuple[int, ...]:
    """Return the sizes of a value, -1 for one that varies."""
    return tuple(size if isinstance(size, int) else -1 for size in node.meta["val"].shape)


def _rank(node: fx.Node) -> int:
    return len(node.meta["val"].shape)

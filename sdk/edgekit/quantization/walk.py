"""Walk a prepared graph under a plan. A walk can be forked, and the fork goes on under another plan."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx

from edgekit.quantization.correction import Correction, add_to_channels, bias_of
from edgekit.quantization.switches import Layout, Plan


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What nodes read as weights, biases and constants, by path in the graph."""

    original: Mapping[str, Tensor]
    """In float."""
    mended: Mapping[str, Tensor]
    """In int8."""
    rounded: Mapping[fx.Node, Tensor]
    """In int8, by the node that observes them."""


@dataclass(kw_only=True)
class _Part:
    """What a part of the samples has computed so far, as far as it is still wanted."""

    waiting: list[Tensor]
    """The arguments that no node has read yet."""
    values: dict[fx.Node, Any] = field(default_factory=dict)
    rounded: dict[fx.Node, Tensor] = field(default_factory=dict)
    """By the node that observes."""

    def copy(self) -> "_Part":
        """Return one that goes on by itself; tensors are shared, since nothing writes to them."""
        return _Part(waiting=list(self.waiting), values=dict(self.values), rounded=dict(self.rounded))


class Walk:
    """A place in the graph, and the values of each part of the samples that are wanted from there on.

    A part goes as far as it can before the next one follows, which keeps what it computes in the processor's cache.
    Only where a bias is corrected all parts wait for each other.
    """

    def __init__(
        self,
        graph: Layout,
        plan: Plan,
        parameters: Parameters,
        parts: Sequence[tuple[Tensor, ...]],
        beside: "Walk | None" = None,
    ) -> None:
        """Start before the first node.

        Args:
            graph: The graph.
            plan: What is rounded.
            parameters: Where weights and biases are read.
            parts: Samples, as the arguments of one call of the program each.
            beside: A walk of the same parts in float, also before the first node. It is taken along, and the biases of
                layers in int8 are corrected on the way by what it computes, as `reconstruct` does it.
        """
        self.place = 0
        self.biases: dict[str, Tensor] = {}
        """The biases that were corrected, by path in the graph."""
        self._beside = beside
        self._graph, self._plan, self._parameters = graph, plan, parameters
        self._parts = [_Part(waiting=list(inputs)) for inputs in parts]

    def fork(self, plan: Plan, parameters: Parameters | None = None) -> "Walk":
        """Return a walk that goes on from this place under another plan; this one can still go on under its own."""
        other = copy.copy(self)
        other._plan, other._parameters = plan, parameters or self._parameters
        other.biases = dict(self.biases)
        other._beside = None if self._beside is None else self._beside.fork(self._beside._plan)
        other._parts = [part.copy() for part in self._parts]
        return other

    def to(self, place: int) -> None:
        """Go on to the node at a place, and stop before it."""
        while self.place < place:
            end = next((at for at in range(self.place, place) if self._bias_at(at) is not None), place)
            for part in self._parts:
                for at in range(self.place, end):
                    self._put(part, at, self._compute(part, self._graph.order[at]))
            self.place = end
            if end < place:
                self._correct()

    def finish(self) -> list[tuple[Tensor, ...]]:
        """Go on to the end and return the outputs of each part in order."""
        self.to(len(self._graph.order) - 1)
        end = self._graph.order[-1]
        nodes: list[fx.Node] = []
        fx.map_arg(end.args, nodes.append)
        return [tuple(self._read(part, node, end) for node in nodes) for part in self._parts]

    def _bias_at(self, place: int) -> fx.Node | None:
        """Return the bias that is to be corrected at a place."""
        node = self._graph.order[place]
        return bias_of(node) if self._beside is not None and node in self._plan.int8 else None

    def _correct(self) -> None:
        """Compute the layer that all parts stand before, and correct its bias."""
        node, bias = self._graph.order[self.place], self._bias_at(self.place)
        assert self._beside is not None
        assert bias is not None
        self._beside.to(self.place + 1)
        correction, values = Correction(node), []
        for part, real in zip(self._parts, self._beside._parts, strict=True):
            values.append(self._compute(part, node))
            correction.add(real.values[node], values[-1])
        shift = correction.shift()
        self.biases[str(bias.target)] = self._parameters.original[str(bias.target)] + shift
        for part, value in zip(self._parts, values, strict=True):
            self._put(part, self.place, add_to_channels(node, value, shift))
        self.place += 1

    def _compute(self, part: _Part, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return part.waiting.pop(0)

        def read(source: fx.Node) -> Any:
            return self._read(part, source, node)

        assert callable(node.target)
        return node.target(*fx.map_arg(node.args, read), **fx.map_arg(node.kwargs, read))

    def _put(self, part: _Part, place: int, value: Any) -> None:
        """Hold on to a value, and let go of what was read for the last time."""
        node = self._graph.order[place]
        part.values[node] = value
        for source in node.all_input_nodes:
            known = self._graph.sources.get(source, source)
            if self._graph.last_use[source] == place:
                part.rounded.pop(source, None)
            if self._graph.last_use[known] == place:
                part.values.pop(known, None)

    def _read(self, part: _Part, node: fx.Node, reader: fx.Node) -> Any:
        source = self._graph.sources.get(node, node)
        if node in self._plan.rounded.get(reader, ()):
            if source.op == "get_attr":
                return self._parameters.rounded[node]
            if node not in part.rounded:
                part.rounded[node] = self._graph.observers[node].quantize(part.values[source])
            return part.rounded[node]
        if source.op == "get_attr":
            int8 = reader in self._plan.int8
            return (self._parameters.mended if int8 else self._parameters.original)[str(source.target)]
        return part.values[source]


def first_difference(graph: Layout, one: Plan, other: Plan) -> int:
    """Return the place of the first node that two plans treat differently; that of the output if there is none."""
    places = (place for place, node in enumerate(graph.order) if one.treats(node) != other.treats(node))
    return next(places, len(graph.order) - 1)

"""Walk a prepared graph under a plan. A walk can be forked, and the fork goes on under another plan."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from edgekit.quantization.correction import add_to_channels, bias_of, correction
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


class Walk:
    """A place in the graph, and the values that are wanted from there on."""

    def __init__(
        self,
        graph: Layout,
        plan: Plan,
        parameters: Parameters,
        inputs: tuple[Tensor, ...],
        beside: "Walk | None" = None,
    ) -> None:
        """Start before the first node.

        Args:
            graph: The graph.
            plan: What is rounded.
            parameters: Where weights and biases are read.
            inputs: The arguments of the program.
            beside: A walk in float, also before the first node. It is taken along, and the biases of layers in int8 are
                corrected on the way by what it computes, as `reconstruct` does it.
        """
        self.place = 0
        self.biases: dict[str, Tensor] = {}
        """The biases that were corrected, by path in the graph."""
        self._beside = beside
        self._graph, self._plan, self._parameters = graph, plan, parameters
        self._waiting = list(inputs)
        self._values: dict[fx.Node, Any] = {}
        self._rounded: dict[fx.Node, Tensor] = {}
        self._last_use: dict[fx.Node, int] = {}
        for place, node in enumerate(graph.order):
            for source in node.all_input_nodes:
                self._last_use[graph.sources.get(source, source)] = place

    def fork(self, plan: Plan, parameters: Parameters | None = None) -> "Walk":
        """Return a walk that goes on from this place under another plan; this one can still go on under its own."""
        other = copy.copy(self)
        other._plan, other._parameters = plan, parameters or self._parameters
        other.biases = dict(self.biases)
        other._beside = None if self._beside is None else self._beside.fork(self._beside._plan)
        other._waiting = list(self._waiting)
        other._values, other._rounded = dict(self._values), dict(self._rounded)
        return other

    def to(self, place: int) -> None:
        """Go on to the node at a place, and stop before it."""
        while self.place < place:
            self.step()

    def finish(self) -> tuple[Tensor, ...]:
        """Go on to the end and return the outputs in order."""
        self.to(len(self._graph.order) - 1)
        found: list[Tensor] = []
        end = self._graph.order[-1]
        fx.map_arg(end.args, lambda node: found.append(self._read(node, end)))
        return tuple(found)

    def step(self) -> Any:
        """Compute the next node and return its value."""
        node = self._graph.order[self.place]

        def read(source: fx.Node) -> Any:
            return self._read(source, node)

        if node.op == "placeholder":
            value = self._waiting.pop(0)
        else:
            assert callable(node.target)
            value = node.target(*fx.map_arg(node.args, read), **fx.map_arg(node.kwargs, read))
        if self._beside is not None:
            real, bias = self._beside.step(), bias_of(node)
            if bias is not None and node in self._plan.int8:
                shift = correction(node, real, value)
                self.biases[str(bias.target)] = self._parameters.original[str(bias.target)] + shift
                value = add_to_channels(node, value, shift)
        self._values[node] = value
        for source in node.all_input_nodes:
            known = self._graph.sources.get(source, source)
            if self._last_use[known] == self.place:
                self._values.pop(known, None)
                self._rounded.pop(source, None)
        self.place += 1
        return value

    def _read(self, node: fx.Node, reader: fx.Node) -> Any:
        source = self._graph.sources.get(node, node)
        if node in self._plan.rounded.get(reader, ()):
            if source.op == "get_attr":
                return self._parameters.rounded[node]
            if node not in self._rounded:
                self._rounded[node] = self._graph.observers[node].quantize(self._values[source])
            return self._rounded[node]
        if source.op == "get_attr":
            int8 = reader in self._plan.int8
            return (self._parameters.mended if int8 else self._parameters.original)[str(source.target)]
        return self._values[source]


def first_difference(graph: Layout, one: Plan, other: Plan) -> int:
    """Return the place of the first node that two plans treat differently; that of the output if there is none."""
    places = (place for place, node in enumerate(graph.order) if one.treats(node) != other.treats(node))
    return next(places, len(graph.order) - 1)

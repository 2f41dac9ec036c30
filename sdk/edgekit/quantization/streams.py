"""Two streams through a prepared graph, float and quantized, part by part of the samples and layer by layer.

All parts reach a layer before any goes on: what the layer is changed by is seen by all samples. Between two layers only
what is still wanted is held, and what is computed on the way is one part's.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor, fx

from edgekit.quantization.attributes import attribute
from edgekit.quantization.dynamic import DynamicObserver
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver


class Pair(NamedTuple):
    """A value as the float and as the quantized program compute it."""

    real: Any
    rounded: Any


class Streams:
    """A prepared graph, the constants that all samples share, and the values of each part of them."""

    def __init__(self, prepared: fx.GraphModule, parts: Sequence[tuple[Tensor, ...]]) -> None:
        """Start before the first node.

        Args:
            prepared: A calibrated graph whose parameters are its own.
            parts: Samples, as the arguments of one call each.
        """
        self.prepared = prepared
        self._shared: dict[fx.Node, Pair] = {}
        self._values: list[dict[fx.Node, Pair]] = [{} for _ in parts]
        self._parts = parts
        self._nodes = [node for node in prepared.graph.nodes if node.op != "output"]
        inputs = (node for node in self._nodes if node.op == "placeholder")
        self._inputs = {node: place for place, node in enumerate(inputs)}
        self._last_use = {source: node for node in prepared.graph.nodes for source in node.all_input_nodes}
        self._place = 0
        """Before this node all parts are."""

    def to(self, node: fx.Node) -> None:
        """Let all parts go on to a node, and stop before it."""
        end = self._nodes.index(node, self._place)
        segment = self._nodes[self._place : end]
        own = [one for one in segment if not self._is_shared(one)]
        for values, inputs in zip(self._values, self._parts, strict=True):
            for one in own:
                values[one] = self._compute(one, values, inputs)
                self._drop(one, values)
        for one in segment:
            self._drop(one, self._shared)
        self._place = end

    def read(self, node: fx.Node) -> Iterator[Pair]:
        """Yield a value of each part."""
        for values in self._values:
            yield values[node] if node in values else self._shared[node]

    def set(self, node: fx.Node, pairs: Sequence[Pair]) -> None:
        """Go on behind the node that all parts stand before, whose value for each part is given."""
        for values, pair in zip(self._values, pairs, strict=True):
            values[node] = pair
            self._drop(node, values)
        self._drop(node, self._shared)
        self._place += 1

    def share(self, node: fx.Node, pair: Pair) -> None:
        """Set a value that all parts share."""
        self._shared[node] = pair

    def shared(self, node: fx.Node) -> Pair:
        """Return a value that all parts share."""
        return self._shared[node]

    def call(self, node: fx.Node) -> Iterator[Pair]:
        """Compute a node for each part in turn, without holding on to it."""
        for values in self._values:
            yield Pair(self._call(node, values, 0), self._call(node, values, 1))

    def _is_shared(self, node: fx.Node) -> bool:
        """Compute what depends on no sample, once; return whether it was such a node."""
        if node.op == "placeholder" or not all(source in self._shared for source in node.all_input_nodes):
            return False
        self._shared[node] = self._compute(node, {}, ())
        return True

    def _compute(self, node: fx.Node, values: dict[fx.Node, Pair], inputs: tuple[Tensor, ...]) -> Pair:
        match node.op:
            case "placeholder":
                tensor = inputs[self._inputs[node]]
                return Pair(tensor, tensor)
            case "get_attr":
                tensor = attribute(self.prepared, node)
                return Pair(tensor, tensor)
            case "call_module":
                return self._observed(node, values)
            case _:
                return Pair(self._call(node, values, 0), self._call(node, values, 1))

    def _observed(self, node: fx.Node, values: dict[fx.Node, Pair]) -> Pair:
        module, pair = self.prepared.get_submodule(str(node.target)), self._read(node.all_input_nodes[0], values)
        if isinstance(module, HistogramObserver | DynamicObserver | PerChannelWeightObserver):
            return Pair(pair.real, module.quantize(pair.rounded))
        return Pair(module(pair.real), module(pair.rounded))

    def _read(self, node: fx.Node, values: dict[fx.Node, Pair]) -> Pair:
        return values[node] if node in values else self._shared[node]

    def _call(self, node: fx.Node, values: dict[fx.Node, Pair], stream: int) -> Any:
        def of_stream(source: fx.Node) -> Any:
            return self._read(source, values)[stream]

        assert callable(node.target)
        return node.target(*fx.map_arg(node.args, of_stream), **fx.map_arg(node.kwargs, of_stream))

    def _drop(self, node: fx.Node, values: dict[fx.Node, Pair]) -> None:
        for source in node.all_input_nodes:
            if self._last_use[source] is node:
                values.pop(source, None)

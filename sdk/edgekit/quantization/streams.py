"""Two streams through a prepared graph, float and quantized, part by part of the samples and layer by layer.

All parts reach a layer before any goes on: what the layer is changed by is seen by all samples. Between two layers only
what is still wanted is held, and what is computed on the way is one part's.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute
from edgekit.quantization.dynamic import DynamicObserver
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver

# Bytes that are too few to be worth a place of their own.
_SMALL = 2**16


class Pair(NamedTuple):
    """A value as the float and as the quantized program compute it."""

    real: Any
    rounded: Any


class Shelf:
    """A piece of memory for tensors of one type that go together."""

    def __init__(self, memory: Tensor) -> None:
        self._memory, self._used = memory, 0

    def put(self, value: Tensor) -> Tensor:
        """Return a tensor that lies here; itself where there is no room."""
        end = self._used + value.numel()
        if end > len(self._memory):
            return value
        place, self._used = self._memory[self._used : end].view(value.shape), end
        return place.copy_(value)


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
        observers = {node: prepared.get_submodule(str(node.target)) for node in self._nodes if node.op == "call_module"}
        self._packed = {
            node: observer
            for node, observer in observers.items()
            if isinstance(observer, HistogramObserver) and observer.dtype == torch.int8 and observer.finite
        }
        """What is held in 8 bits, and beside it float's in half precision: its noise is 40 dB below that of 8 bits."""
        self._shelves: dict[tuple[fx.Node, int], Shelf] = {}
        self._last_use = {source: node for node in prepared.graph.nodes for source in node.all_input_nodes}
        self._place = 0
        """Before this node all parts are."""

    def __len__(self) -> int:
        """How many parts there are."""
        return len(self._parts)

    def to(self, node: fx.Node) -> None:
        """Let all parts go on to a node, and stop before it."""
        end = self._nodes.index(node, self._place)
        segment = self._nodes[self._place : end]
        own = []
        for one in segment:
            if one.op != "placeholder" and all(source in self._shared for source in one.all_input_nodes):
                self._shared[one] = self._compute(one, {}, ())  # it depends on no sample
            else:
                own.append(one)
        for values, inputs in zip(self._values, self._parts, strict=True):
            for one in own:
                values[one] = self._compute(one, values, inputs)
                self._drop(one, values)
            for one in values.keys() & set(own):
                values[one] = self._shelved(one, values[one])
        for one in segment:
            self._drop(one, self._shared)
            self._empty(one)
        self._place = end

    def rounded(self, node: fx.Node) -> Iterator[Any]:
        """Yield a value of each part as the quantized program computes it."""
        for values in self._values:
            yield self._read(node, values, 1)

    def set(self, node: fx.Node, pairs: Sequence[Pair]) -> None:
        """Go on behind the node that all parts stand before, whose value for each part is given."""
        for values, pair in zip(self._values, pairs, strict=True):
            values[node] = self._shelved(node, pair)
            self._drop(node, values)
        self._drop(node, self._shared)
        self._empty(node)
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
        module, source = self.prepared.get_submodule(str(node.target)), node.all_input_nodes[0]
        real, rounded = (self._read(source, values, stream) for stream in (0, 1))
        if isinstance(module, HistogramObserver | DynamicObserver | PerChannelWeightObserver):
            return Pair(real, module.quantize(rounded))
        return Pair(module(real), module(rounded))

    def _read(self, node: fx.Node, values: dict[fx.Node, Pair], stream: int) -> Any:
        value = (values[node] if node in values else self._shared[node])[stream]
        if node in self._packed:
            if value.dtype == torch.int8:
                return self._packed[node].unpack(value)
            if value.dtype == torch.float16:
                return self._packed[node].from_half(value)
        return value

    def _shelved(self, node: fx.Node, pair: Pair) -> Pair:
        """Return a value as it is held until it is read, the values of all parts in one piece of memory.

        Small pieces that stay between larger ones that go would keep what these were in from being used again.
        """
        real, rounded = pair
        if node in self._packed and rounded.dtype != torch.int8:
            real, rounded = self._packed[node].to_half(real), self._packed[node].pack(rounded)
        shelved = self._shelf(node, 0, real)
        return Pair(shelved, shelved if rounded is real else self._shelf(node, 1, rounded))

    def _shelf(self, node: fx.Node, stream: int, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.nbytes < _SMALL:
            return value
        if (node, stream) not in self._shelves:  # no part is larger than the first
            self._shelves[node, stream] = Shelf(value.new_empty(value.numel() * len(self._parts)))
        return self._shelves[node, stream].put(value)

    def _empty(self, node: fx.Node) -> None:
        for source in node.all_input_nodes:
            if self._last_use[source] is node:
                self._shelves.pop((source, 0), None)
                self._shelves.pop((source, 1), None)

    def _call(self, node: fx.Node, values: dict[fx.Node, Pair], stream: int) -> Any:
        def of_stream(source: fx.Node) -> Any:
            return self._read(source, values, stream)

        assert callable(node.target)
        return node.target(*fx.map_arg(node.args, of_stream), **fx.map_arg(node.kwargs, of_stream))

    def _drop(self, node: fx.Node, values: dict[fx.Node, Pair]) -> None:
        for source in node.all_input_nodes:
            if self._last_use[source] is node:
                values.pop(source, None)

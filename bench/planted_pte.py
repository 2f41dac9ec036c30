"""Plants faults in the .pte files of the networks, in the graph of XNNPACK's delegate; see ``planted``."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import fx

from bench.networks import Network
from bench.planted import TARGET, Built, Fault, draw_one, first_that_changes, made, of_kinds
from edgekit.lowering import pte as lowering
from edgekit.model import graph
from edgekit.pipeline.bisecting.inside import look_inside
from edgekit.pipeline.bisecting.ptefile import PteFile
from edgekit.pipeline.bisecting.running import plain
from edgekit.pipeline.bisecting.xnnpack import float_of

_LAYERS = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNFullyConnected")
# Kernels that compute an activation alone, and what it is in the program.
_ALONE = {
    "XNNHardswish": ("hardswish",),
    "XNNClamp": ("relu", "hardtanh"),
    "XNNGelu": ("gelu",),
    "XNNSigmoid": ("sigmoid",),
}
_MOVES = {"XNNStaticTranspose", "XNNStaticReshape", "XNNCopy", "XNNMaxPooling2d"}
_NONE = 0xFFFFFFFF
Planted = tuple[str, frozenset[str]]


def build(network: Network, samples: int = 32) -> Built:
    """Build a network's program and .pte."""
    quantized, evaluation = made(network, samples)
    return Built(quantized=quantized, data=lowering.lower(quantized, TARGET.pte).data, samples=evaluation)


class _Editor:
    """A copy of a delegate's graph that is edited."""

    def __init__(self, built: Built) -> None:
        self.file = PteFile(built.data)
        (self.delegate,) = self.file.delegates
        self.graph = self.delegate.graph()
        self.named: dict[str, bytes] = {}
        self.nodes: list[Any] = self.graph["xnodes"]
        self.values = {self.tensor(one)["id_out"]: one["xvalue_union"] for one in self.graph["xvalues"]}
        program = list(built.quantized.program.module(check_guards=False).graph.nodes)
        kinds = [graph.operation(node).rstrip("_") for node in program]
        layers = [node for node in self.nodes if node["xnode_union_type"] in _LAYERS and self.has_weight(node)]
        self.pairs = self._paired(layers, of_kinds(program, kinds, ("conv1d", "conv2d", "linear")))
        fused = {user for node in self.pairs.values() for user in self.activations(node)}
        for kind, names in _ALONE.items():
            mine = [node for node in self.nodes if node["xnode_union_type"] == kind]
            if mine:
                lone = [node for node in of_kinds(program, kinds, names) if not self._is_fused(node, fused, mine)]
                self.pairs |= self._paired(mine, lone)
        self.layers = layers

    def _is_fused(self, node: fx.Node, fused: set[fx.Node], mine: list[Any]) -> bool:
        """Whether a clamp is part of the layer before it, which then has limits of its own."""
        if mine[0]["xnode_union_type"] != "XNNClamp" or node not in fused:
            return False
        layer = next(one for one, other in self.pairs.items() if node in self.activations(other))
        return "output_min_max" in self.node_of(layer)

    def _paired(self, mine: list[Any], nodes: list[fx.Node]) -> dict[int, fx.Node]:
        return dict(zip((self.union(one)["output_id"] for one in mine), nodes, strict=True))

    @staticmethod
    def tensor(value: Any) -> Any:
        """Return what is told of a value."""
        return value["xvalue_union"].get("tensor_value", value["xvalue_union"])

    @staticmethod
    def union(node: Any) -> Any:
        """Return what is told of a kernel."""
        return node["xnode_union"]

    @staticmethod
    def activations(layer: fx.Node) -> list[fx.Node]:
        """Return the clamps that read a layer of the program."""
        return [one for one in layer.users if graph.operation(one).rstrip("_") in ("relu", "hardtanh", "relu6")]

    def node_of(self, value: int) -> Any:
        """Return the kernel that computes a value."""
        return next(node for node in self.nodes if self.union(node)["output_id"] == value)

    def has_weight(self, node: Any) -> bool:
        """Whether a kernel is a layer: a mean is written as one without a bias."""
        union = self.union(node)
        weight = self.values[union["filter_id"]]
        held = weight.get("tensor_value", weight)["constant_buffer_idx"]
        return bool(held) and not (union["bias_id"] == _NONE and "tensor_value" not in weight)

    def truth(self, layer: Any) -> frozenset[str]:
        """Return what names a layer's kernel right: itself, or the clamp that it computes, too."""
        node = self.pairs[self.union(layer)["output_id"]]
        fused = self.activations(node) if "output_min_max" in layer else []
        return frozenset(one.name for one in (node, *fused))

    def rounded(self) -> list[tuple[int, frozenset[str]]]:
        """Return the values in int8 of layers, or right behind float ones."""
        found = []
        for layer in self.layers:
            value = self.union(layer)["output_id"]
            nodes = self.truth(layer)
            if "quant_params" not in self.values[value]:
                behind = [one for one in self.nodes if self.union(one).get("input_id") == value]
                if not behind or behind[0]["xnode_union_type"] != "XNNConvert":
                    continue
                value = self.union(behind[0])["output_id"]
            if self.values[value].get("quant_params_type") == "PerTensorQuant":
                found.append((value, nodes))
        return found

    def moved(self, value: int) -> list[Any]:
        """Return the roundings of a value and of all that only moves it."""
        own = self.values[value]["quant_params"]
        found, wanted = [], [value]
        while wanted:
            one = wanted.pop()
            found.append(self.values[one]["quant_params"])
            for node in self.nodes:
                union = self.union(node)
                after = self.values[union["output_id"]].get("quant_params")
                if node["xnode_union_type"] in _MOVES and union["input_id"] == one and after == own:
                    wanted.append(union["output_id"])
        return found

    def hold(self, index: int, data: bytes) -> int:
        """Return a place for a constant of its own."""
        name = f"planted_{index}"
        self.named[name] = data
        self.graph["constant_data"].append({"offset": 2**64 - 1, "size": len(data), "named_key": name})
        return len(self.graph["constant_data"]) - 1

    def data(self) -> bytes:
        """Return the file."""
        return self.file.with_payloads([self.delegate.written(self.graph)], self.named)


def _scale(editor: _Editor, draw: np.random.Generator) -> Planted:
    """Half again as large a step, of a rounding or of a layer's weights."""
    if draw.random() < 0.5:
        layers = [one for one in editor.layers if "quant_params" in editor.values[editor.union(one)["filter_id"]]]
        layer = draw_one(layers, draw)
        weight = editor.union(layer)["filter_id"]
        steps = np.frombuffer(editor.delegate.scales(weight, editor.file.named), np.float32) * np.float32(1.5)
        quantized = editor.values[weight]["quant_params"]
        if quantized.get("scale"):
            quantized["scale"] = [struct.unpack("<I", struct.pack("<f", step))[0] for step in steps]
        else:
            quantized["scale_buffer_idx"] = editor.hold(weight, steps.tobytes())
        return f"value {weight}", editor.truth(layer)
    value, nodes = draw_one(editor.rounded(), draw)
    for quantized in editor.moved(value):
        larger = np.float32(float_of(quantized["scale"])) * np.float32(1.5)
        quantized["scale"] = int(np.asarray(larger, np.float32).view(np.uint32))
    return f"value {value}", nodes


def _zero_point(editor: _Editor, draw: np.random.Generator) -> Planted:
    """Three steps beside, of a rounding."""
    value, nodes = draw_one(editor.rounded(), draw)
    for quantized in editor.moved(value):
        quantized["zero_point"] += 3 if quantized["zero_point"] + 3 <= 127 else -3
    return f"value {value}", nodes


def _transposed(editor: _Editor, draw: np.random.Generator) -> Planted:
    """A layer's weight with its axes the other way: those of a kernel, else the first and the last."""
    layer = draw_one(editor.layers, draw)
    weight = editor.union(layer)["filter_id"]
    told = editor.values[weight].get("tensor_value", editor.values[weight])
    dtype = np.float32 if told["datatype"] == "xnn_datatype_fp32" else np.int8
    array = np.frombuffer(editor.delegate.constant(weight, editor.file.named), dtype).reshape(told["dims"])
    square = array.ndim == 4 and array.shape[1] == array.shape[2] > 1
    other = array.swapaxes(1, 2) if square else array.swapaxes(0, -1)
    told["constant_buffer_idx"] = editor.hold(weight, np.ascontiguousarray(other).tobytes())
    return f"value {weight}", editor.truth(layer)


def _dropped(editor: _Editor, draw: np.random.Generator) -> Planted:
    """An activation that does nothing: its kernel is gone, or its layer's has no limits."""
    alone = [node for node in editor.nodes if node["xnode_union_type"] in _ALONE]
    fused = [node for node in editor.layers if "output_min_max" in node]
    node = draw_one(alone + fused, draw)
    value = editor.union(node)["output_id"]
    if node in fused:
        nodes = editor.truth(node)
        del node["output_min_max"]
        return f"value {value}", nodes
    for reader in editor.nodes:
        union = editor.union(reader)
        for name in [name for name in union if name.endswith("_id") and name != "output_id"]:
            if union[name] == value:
                union[name] = editor.union(node)["input_id"]
    editor.nodes.remove(node)
    return f"value {value}", frozenset({editor.pairs[value].name})


def _padded(editor: _Editor, draw: np.random.Generator) -> Planted:
    """One less at the beginning of an axis, and one more at its end."""
    layer = draw_one([node for node in editor.layers if editor.union(node).get("padding_top")], draw)
    editor.union(layer)["padding_top"] -= 1
    editor.union(layer)["padding_bottom"] += 1
    return f"value {editor.union(layer)['output_id']}", editor.truth(layer)


KINDS: dict[str, Callable[[_Editor, np.random.Generator], Planted]] = {
    "scale": _scale,
    "zero point": _zero_point,
    "transposed weight": _transposed,
    "dropped activation": _dropped,
    "off-by-one pad": _padded,
}


def plant(built: Built, kind: str, seed: int) -> Fault:
    """Plant a fault of a kind that changes an answer.

    Raises:
        NoPlaceError: If the network has no place for it.
    """

    def draw(generator: np.random.Generator) -> tuple[str, frozenset[str], bytes]:
        editor = _Editor(built)
        place, operations = KINDS[kind](editor, generator)
        return place, operations, editor.data()

    return first_that_changes(kind, seed, built.data, draw, lambda data: _answers(built, data))


def named_right(built: Built, fault: Fault) -> tuple[bool, str]:
    """Bisect a planted fault; return whether its operation was named, and what was."""
    found = look_inside("model.pte", fault.data, built.data, TARGET.cpu, built.quantized, built.samples).parting
    if found is None:
        return False, "nothing"
    return found.name in fault.operations, f"{found.operation} {found.name} ({found.path}; {found.reason})"


def whole(built: Built) -> str:
    """Bisect a whole file; return where it is said to part, empty as it should be."""
    found = look_inside("model.pte", built.data, built.data, TARGET.cpu, built.quantized, built.samples).parting
    return "" if found is None else found.name


def _answers(built: Built, data: bytes) -> npt.NDArray[np.float32]:
    run = plain(data, TARGET.cpu, built.quantized.captured.source, opened=PteFile(data), foreign=False)
    return run(built.samples)["logits"]

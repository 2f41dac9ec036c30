"""The operations between two roundings, of the program and of an .onnx, and which values stand for each other."""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher

import onnx
from torch import fx

from edgekit.model import graph
from edgekit.pipeline.profiling.places import Tap

# How the exporter names operations where it is not the name in torch without what stands for dimensions.
_ONNX = {
    "hardtanh": "clip", "relu6": "clip", "clamp": "clip", "layer_norm": "layernormalization", "mean": "pool",
    "adaptive_avg_pool1d": "pool", "adaptive_avg_pool2d": "pool", "avg_pool1d": "pool", "avg_pool2d": "pool",
    "max_pool1d": "maxpool", "max_pool2d": "maxpool", "cat": "concat", "bmm": "matmul", "truediv": "div",
    "conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "conv_transpose1d": "convtranspose",
    "conv_transpose2d": "convtranspose",
}  # fmt: skip
_TORCH = {"reducemean": "pool", "globalaveragepool": "pool", "averagepool": "pool", "gemm": "linear"}
_ROUNDING = {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True, kw_only=True)
class File:
    """An .onnx, by what makes its values."""

    model: onnx.ModelProto
    made: dict[str, onnx.NodeProto]
    """The node that gives a value, by the value's name."""
    constants: frozenset[str]
    """Names of the values that the file holds, and of those that are only unpacked from them."""

    @classmethod
    def read(cls, data: bytes) -> "File":
        """Take a file apart."""
        model = onnx.load_model_from_string(data)
        constants = {item.name for item in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type in ("DequantizeLinear", "Constant") and constants.issuperset(filter(None, node.input)):
                constants |= set(node.output)
        made = {name: node for node in model.graph.node for name in node.output}
        return cls(model=model, made=made, constants=frozenset(constants))

    def behind(self, value: str, known: Collection[str]) -> list[onnx.NodeProto]:
        """Return the nodes that compute a value, in the order of the file, from values that are known already."""
        wanted, found = [value], set()
        while wanted:
            name = wanted.pop()
            if name not in self.made or name in found or (name in known and name != value):
                continue
            node = self.made[name]
            found |= set(node.output)
            wanted += [source for source in node.input if source]
        return [node for node in self.model.graph.node if found.intersection(node.output)]


def of_program(end: fx.Node) -> list[fx.Node]:
    """Return the operations that compute a value from roundings before it, in the order of the graph."""
    wanted, found = list(end.all_input_nodes), set()
    if not graph.is_quantize(end):
        wanted.append(end)
    while wanted:
        node = wanted.pop()
        if node in found or node.op != "call_function" or graph.is_quantize(node):
            continue
        found.add(node)
        wanted += node.all_input_nodes
    return [node for node in end.graph.nodes if node in found and graph.is_compute(node)]


def since(end: fx.Node, known: set[str]) -> list[fx.Node]:
    """Return the operations that compute a value from known ones, in the order of the graph.

    Args:
        end: The node of the value.
        known: Names of the nodes whose values are known.
    """
    wanted, found = [end], set()
    while wanted:
        node = wanted.pop()
        if node in found or node.op != "call_function" or (node.name in known and node is not end):
            continue
        found.add(node)
        wanted += node.all_input_nodes
    return [node for node in end.graph.nodes if node in found and graph.is_compute(node)]


def taps(ours: list[fx.Node], file: File, end: str, known: Collection[str]) -> tuple[Tap, ...]:
    """Pair the float values of a segment, as far as both have operations of a kind in the same order.

    Args:
        ours: The program's operations, from `of_program`.
        file: The file.
        end: The value that the segment ends in.
        known: Values of the file that earlier segments end in.
    """
    theirs = [(kind, name) for kind, name in _kinds(file, file.behind(end, known)) if name != end]
    kinds = [_kind(node) for node in ours], [kind for kind, _ in theirs]
    blocks = SequenceMatcher(None, *kinds, autojunk=False).get_matching_blocks()
    return tuple(
        Tap(node=ours[block.a + at], output=theirs[block.b + at][1]) for block in blocks for at in range(block.size)
    )


def _kinds(file: File, nodes: list[onnx.NodeProto]) -> list[tuple[str, str]]:
    """Return the kind of each operation that computes, and its value. A bias that is added belongs to its layer."""
    found: list[tuple[str, str]] = []
    for node in nodes:
        kind = node.op_type.lower()
        if node.op_type in _ROUNDING or file.constants.issuperset(filter(None, node.input)):
            continue
        if kind == "matmul" and any(name in file.constants for name in node.input):
            kind = "linear"
        elif kind == "add" and found and found[-1] == ("linear", node.input[0]) and node.input[1] in file.constants:
            found.pop()
            kind = "linear"
        found.append((_TORCH.get(kind, kind), node.output[0]))
    return found


def _kind(node: fx.Node) -> str:
    name = graph.operation(node).rstrip("_")
    return _ONNX.get(name, name.replace("_", ""))

"""Plants faults in the .onnx files of the networks, see ``bisect_faults``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from torch import fx

from bench.networks import Network
from bench.networks.data import data_for, input_spec, output_spec
from edgekit import targets
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import onnx as runtime
from edgekit.lowering import onnx as lowering
from edgekit.model import graph
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.bisecting.narrow import narrow
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec

TARGET = targets.load("android-arm64")
_ACTIVATIONS = {
    "Relu": "relu",
    "Clip": "hardtanh",
    "HardSwish": "hardswish",
    "Gelu": "gelu",
    "HardSigmoid": "hardsigmoid",
}


_Drawn = TypeVar("_Drawn")


class NoPlaceError(Exception):
    """A network has no place for a fault of a kind."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """A network's program and file, and what stands for what."""

    quantized: Quantized
    data: bytes
    samples: Samples

    def pairs(self) -> dict[str, fx.Node]:
        """Return the program's node for each layer and activation of the file, by the value: both are in one order."""
        nodes = list(self.quantized.program.module(check_guards=False).graph.nodes)
        model = onnx.load_model_from_string(self.data)
        kept = {item.name for item in model.graph.initializer}
        held = kept | {
            node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in kept
        }
        layers = [
            node.output[0]
            for node in model.graph.node
            if node.op_type in ("Conv", "Gemm") or (node.op_type == "MatMul" and node.input[1] in held)
        ]
        kinds = [graph.operation(node).rstrip("_") for node in nodes]
        found = dict(zip(layers, of_kinds(nodes, kinds, ("conv1d", "conv2d", "linear")), strict=True))
        for theirs, kind in _ACTIVATIONS.items():
            active = [node.output[0] for node in model.graph.node if node.op_type == theirs]
            if active:  # others are left to the rounding, which clamps
                found |= zip(active, of_kinds(nodes, kinds, (kind,)), strict=True)
        return found


def of_kinds(nodes: list[fx.Node], kinds: list[str], wanted: tuple[str, ...]) -> list[fx.Node]:
    """Return the nodes of some kinds."""
    return [node for node, kind in zip(nodes, kinds, strict=True) if kind in wanted]


def build(network: Network, samples: int = 32) -> Built:
    """Build a network's program and .onnx."""
    quantized, evaluation = made(network, samples)
    return Built(quantized=quantized, data=lowering.lower(quantized, TARGET.onnx).data, samples=evaluation)


def made(network: Network, samples: int) -> tuple[Quantized, Samples]:
    """Quantize a network; return its program and what to compare on."""
    data = data_for(network, evaluation=samples)
    source = source_from_module(
        name=network.name.replace("-", "_"),
        model=network.load(),
        inputs=(input_spec(network),),
        outputs=(output_spec(),),
        dimensions={"batch": 64},
    )
    captured = capture(source, data.calibration)
    return quantize(captured, TARGET.quantization, QuantSpec(), data.calibration), data.evaluation


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planted fault."""

    kind: str
    place: str
    """The value of the file behind which it lies."""
    data: bytes
    operations: frozenset[str]
    """What names it right: nodes of the program."""


class _Editor:
    """A copy of a file that is edited."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.model = onnx.load_model_from_string(built.data)
        self.constants = {item.name: item for item in self.model.graph.initializer}
        self.made = {name: node for node in self.model.graph.node for name in node.output}
        self.pairs = built.pairs()

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return a constant."""
        return numpy_helper.to_array(self.constants[name]).copy()

    def hold(self, node: onnx.NodeProto, at: int, array: npt.NDArray[Any]) -> None:
        """Give one node a constant of its own."""
        name = f"planted_{len(self.constants)}"
        self.model.graph.initializer.append(numpy_helper.from_array(array, name))
        node.input[at] = name

    def layers(self) -> list[onnx.NodeProto]:
        """Return the layers with weights."""
        return [
            node for node in self.model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") and self.paired(node)
        ]

    def paired(self, node: onnx.NodeProto) -> bool:
        """Whether the node stands for one of the program's."""
        return node.output[0] in self.pairs

    def activations(self) -> list[onnx.NodeProto]:
        """Return the activations."""
        return [node for node in self.model.graph.node if node.op_type in _ACTIVATIONS]

    def weight(self, node: onnx.NodeProto) -> tuple[onnx.NodeProto, int]:
        """Return who reads a layer's weight, and as which input."""
        return (self.made[node.input[1]], 0) if node.input[1] in self.made else (node, 1)

    def rounded(self) -> list[onnx.NodeProto]:
        """Return the roundings of activations right behind a layer or an activation."""
        return [
            node
            for node in self.model.graph.node
            if node.op_type == "QuantizeLinear" and node.input[0] in self.made and self.giver(node) is not None
        ]

    def giver(self, node: onnx.NodeProto) -> str | None:
        """Return the value of the layer or activation that a rounding is right behind, past a bias."""
        name = node.input[0]
        before = self.made[name]
        if before.op_type == "Add" and before.input[0] in self.pairs and before.input[1] in self.constants:
            name = before.input[0]
        return name if name in self.pairs else None


def _scale(editor: _Editor, draw: np.random.Generator) -> tuple[str, frozenset[str]]:
    """Half again as large a step, of a rounding or of a layer's weights."""
    factor = np.float32(1.5)
    if draw.random() < 0.5:
        layer = draw_one([node for node in editor.layers() if node.input[1] in editor.made], draw)
        node, _ = editor.weight(layer)
        editor.hold(node, 1, editor.array(node.input[1]) * factor)
        return layer.output[0], frozenset({editor.pairs[layer.output[0]].name})
    node = draw_one(editor.rounded(), draw)
    editor.hold(node, 1, editor.array(node.input[1]) * factor)
    return _behind(editor, node)


def _zero_point(editor: _Editor, draw: np.random.Generator) -> tuple[str, frozenset[str]]:
    """Three steps beside, of a rounding."""
    node = draw_one(editor.rounded(), draw)
    zero = editor.array(node.input[2])
    info = np.iinfo(zero.dtype)
    moved = int(zero) + 3 if int(zero) + 3 <= info.max else int(zero) - 3
    editor.hold(node, 2, np.asarray(moved, zero.dtype))
    return _behind(editor, node)


def _behind(editor: _Editor, node: onnx.NodeProto) -> tuple[str, frozenset[str]]:
    name = editor.giver(node)
    assert name is not None
    layer = editor.pairs[name]
    clamps = {user.name for user in layer.users if graph.operation(user).rstrip("_") in _ACTIVATIONS.values()}
    # Where the file has no such activation, the rounding does its work.
    return name, frozenset({layer.name} | (clamps - {node.name for node in editor.pairs.values()}))


def _transposed(editor: _Editor, draw: np.random.Generator) -> tuple[str, frozenset[str]]:
    """A layer's weight with its axes the other way: those of a kernel, else the first two."""
    layer = draw_one(editor.layers(), draw)
    node, at = editor.weight(layer)
    weight = editor.array(node.input[at])
    if weight.ndim == 4 and weight.shape[-1] == weight.shape[-2] > 1:
        other = weight.swapaxes(-1, -2)
    else:
        other = weight.swapaxes(0, 1).reshape(weight.shape)
    editor.hold(node, at, np.ascontiguousarray(other))
    return layer.output[0], frozenset({editor.pairs[layer.output[0]].name})


def _dropped(editor: _Editor, draw: np.random.Generator) -> tuple[str, frozenset[str]]:
    """An activation that does nothing."""
    node = draw_one(editor.activations(), draw)
    name = node.output[0]
    for reader in editor.model.graph.node:
        for at, source in enumerate(reader.input):
            if source == name:
                reader.input[at] = node.input[0]
    editor.model.graph.node.remove(node)
    return name, frozenset({editor.pairs[name].name})


def _padded(editor: _Editor, draw: np.random.Generator) -> tuple[str, frozenset[str]]:
    """One less at the beginning of an axis, and one more at its end."""
    found = [
        (node, attribute)
        for node in editor.layers()
        for attribute in node.attribute
        if attribute.name == "pads" and attribute.ints[0] > 0
    ]
    if not found:
        raise NoPlaceError("no layer pads")
    node, pads = found[int(draw.integers(len(found)))]
    pads.ints[0] -= 1
    pads.ints[len(pads.ints) // 2] += 1
    return node.output[0], frozenset({editor.pairs[node.output[0]].name})


KINDS: dict[str, Callable[[_Editor, np.random.Generator], tuple[str, frozenset[str]]]] = {
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
        return place, operations, editor.model.SerializeToString()

    return first_that_changes(kind, seed, built.data, draw, lambda data: _answers(built, data))


def first_that_changes(
    kind: str,
    seed: int,
    whole: bytes,
    draw: Callable[[np.random.Generator], tuple[str, frozenset[str], bytes]],
    answers: Callable[[bytes], npt.NDArray[np.float32]],
) -> Fault:
    """Draw faults until a file with one runs and gives other answers.

    Args:
        kind: The kind of fault.
        seed: What is drawn follows from it.
        whole: The file without a fault.
        draw: Returns a fault's place, the operations that may be blamed for it, and the file that has it.
        answers: Runs a file.

    Raises:
        NoPlaceError: If none of fifty does, or the network has no place for it.
    """
    generator = np.random.default_rng(seed)
    right = answers(whole)
    for _ in range(50):
        place, operations, data = draw(generator)
        try:
            found = answers(data)
        except RunError:
            continue
        if not np.array_equal(right, found):
            return Fault(kind=kind, place=place, data=data, operations=operations)
    raise NoPlaceError(f"no {kind} changes an answer")


def named_right(built: Built, fault: Fault) -> tuple[bool, str]:
    """Bisect a planted fault; return whether its operation was named, and what was."""
    found = narrow("model.onnx", fault.data, TARGET.cpu, built.quantized, built.samples).parting
    if found is None:
        return False, "nothing"
    return found.name in fault.operations, f"{found.operation} {found.name} ({found.path})"


def whole(built: Built) -> str:
    """Bisect a whole file; return where it is said to part, empty as it should be."""
    found = narrow("model.onnx", built.data, TARGET.cpu, built.quantized, built.samples).parting
    return "" if found is None else found.name


def _answers(built: Built, data: bytes) -> npt.NDArray[np.float32]:
    source = built.quantized.captured.source
    found = runtime.call(runtime.load(data, TARGET.cpu), source.inputs, source.outputs, built.samples)
    return found["logits"]


def draw_one(found: list[_Drawn], draw: np.random.Generator) -> _Drawn:
    """Draw one of some places.

    Raises:
        NoPlaceError: If there are none.
    """
    if not found:
        raise NoPlaceError("the network has no place for it")
    return found[int(draw.integers(len(found)))]

"""The places where a quantized program and an .onnx made of it both round, and the layers that these belong to."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, fx

from edgekit.data.rows import Array
from edgekit.model import graph
from edgekit.quantization.grouping import group

Doubles = npt.NDArray[np.float64]
# Float values differ by the order of sums alone, at 100 dB and more.
FLOAT_DB = 60.0


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A place where both round: a quantize node of the program, and the value of the .onnx that stands for it."""

    node: fx.Node
    output: str
    """The value's name in the .onnx."""
    scale: float
    zero_point: int
    """Both of the .onnx, the zero point as of signed integers."""
    shift: int
    """What its integers have more than signed ones: they may be unsigned."""

    def of_artifact(self, steps: Array) -> Doubles:
        """Return what the artifact's integers stand for by the program's step: a step of its own is a difference."""
        scale, zero_point, _, _ = self._own
        values: Doubles = (steps.astype(np.float64) - self.shift - zero_point) * scale
        return values

    def exact(self, values: Tensor) -> Doubles:
        """Return what the program rounds here, within the range of its integers."""
        scale, zero_point, low, high = self._own
        found: Doubles = np.clip(values.double().numpy(), (low - zero_point) * scale, (high - zero_point) * scale)
        return found

    def of_program(self, steps: Tensor) -> Doubles:
        """Return what the program's integers stand for."""
        values: Doubles = (steps.numpy().astype(np.float64) - self._own[1]) * self._own[0]
        return values

    def as_program(self, values: Doubles, like: Tensor) -> Tensor:
        """Return values as the program's integers."""
        scale, zero_point, low, high = self._own
        return torch.from_numpy(np.clip(np.rint(values / scale) + zero_point, low, high)).to(like.dtype)

    @property
    def step(self) -> float:
        """The program's step."""
        return self._own[0]

    @property
    def rounds_otherwise(self) -> bool:
        """Whether step or zero point in the .onnx are others than the program's."""
        return not is_of(self.node, self.scale, self.zero_point)

    @property
    def zero(self) -> int:
        """The program's zero point."""
        return self._own[1]

    @property
    def _own(self) -> tuple[float, int, int, int]:
        _, scale, zero_point, low, high, *_ = self.node.args
        # The types of an fx node's arguments are wide.
        return float(scale), int(zero_point), int(low), int(high)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Tap:
    """A float value of the program between roundings, and the value of the .onnx that stands for it."""

    node: fx.Node
    output: str
    """The value's name in the .onnx."""
    least_db: float = FLOAT_DB
    """SQNR below which it is another value."""
    step: float | None = None
    """A float value has none."""

    def of_artifact(self, values: Array) -> Doubles:
        """Return the artifact's values."""
        return values.astype(np.float64)

    def of_program(self, values: Tensor) -> Doubles:
        """Return the program's values."""
        found: Doubles = values.double().numpy()
        return found

    def as_program(self, values: Doubles, like: Tensor) -> Tensor:
        """Return values as the program holds them."""
        return torch.from_numpy(values).to(like.dtype).reshape(like.shape)


Place = Spot | Tap


def spots(model: onnx.ModelProto, program: fx.Graph) -> tuple[tuple[Spot, ...], int]:
    """Pair the QuantizeLinear nodes of an .onnx with the program's, in order.

    Args:
        model: The model.
        program: The graph of the program's module.

    Returns:
        The pairs, and how many places of the program have no counterpart.
    """
    constants = {item.name: item for item in model.graph.initializer}
    theirs = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
            scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
            shift = 0 if np.issubdtype(zero.dtype, np.signedinteger) else np.iinfo(zero.dtype).max // 2 + 1
            theirs.append((node.output[0], float(scale), int(zero) - shift, shift))
    ours = [node for node in program.nodes if rounds_per_tensor(node) and node.all_input_nodes[0].op != "get_attr"]
    found: list[Spot] = []
    waiting = list(theirs)
    for node in ours:
        place: int | None = 0
        if len(ours) != len(theirs):  # the exporter left some out: step and zero point say which
            fits = (at for at, (_, scale, zero, _) in enumerate(waiting) if is_of(node, scale, zero))
            place = next(fits, None)
        if place is not None:
            output, step, zero_point, shift = waiting[place]
            del waiting[: place + 1]
            found.append(Spot(node=node, output=output, scale=step, zero_point=zero_point, shift=shift))
    return tuple(found), len(ours) - len(found)


def layers_of(program: fx.Graph, known: frozenset[str]) -> dict[str, str]:
    """Return the layer of each compute node of a quantized program, by the node's name.

    Args:
        program: The graph of the program's module.
        known: Paths of the layers. What is fused to a layer, its activation say, belongs to it.
    """
    found: dict[str, str] = {}
    for path, nodes in group(program).items():
        for node in nodes:
            before = _before(node)
            found[node.name] = path if path in known or before is None else found.get(before.name, path)
    return found


def giver(node: fx.Node) -> fx.Node:
    """Return the node that computed a value which others only rounded or moved."""
    while node.op == "call_function" and not graph.is_compute(node) and len(node.all_input_nodes) == 1:
        node = node.all_input_nodes[0]
    return node


def rounds_per_tensor(node: fx.Node) -> bool:
    """Whether a node rounds all values by one step."""
    return graph.is_quantize(node) and "per_tensor" in graph.operation(node) and isinstance(node.args[1], float)


def _before(node: fx.Node) -> fx.Node | None:
    """Return the compute node that a node reads from, past what only rounds or moves; None if it reads several."""
    while len(sources := [one for one in node.all_input_nodes if one.op == "call_function"]) == 1:
        (node,) = sources
        if graph.is_compute(node):
            return node
    return None


def is_of(node: fx.Node, scale: float, zero_point: int) -> bool:
    """Whether such a node's step and zero point are these."""
    _, step, zero, *_ = node.args
    return isinstance(step, float) and math.isclose(scale, step, rel_tol=1e-5) and zero_point == zero

"""A graph of ONNX, carried out node by node in torch: ``torch.export`` follows it as any other module."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from edgekit.errors import EdgeKitError
from edgekit.model.programs.onnx.elementwise import ELEMENTWISE
from edgekit.model.programs.onnx.grids import GRIDS
from edgekit.model.programs.onnx.moving import MOVING
from edgekit.model.programs.onnx.node import HOST_ELEMENTS, Host, Node, OnnxError, Value, numbers, tensor
from edgekit.model.programs.onnx.shapes import ON_SIZES

OPERATORS = {**ELEMENTWISE, **MOVING, **GRIDS}
# What their layers read of a node's inputs beside the first: recurrent ones take states, the others have all they need.
_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What the file says is computed."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    """The file's names, in order."""
    outputs: Mapping[str, str]
    """The file's names, by the names that they have here."""
    layers: Mapping[str, str]
    """Paths of layers, by the first name that their node writes."""
    constants: Mapping[str, str]
    """Paths of tensors, by the file's names."""
    sizes: Mapping[str, Host]
    """Small constants, whose values shapes may depend on."""
    last: Mapping[str, int]
    """The node that reads a value last."""


class OnnxModule(nn.Module):
    """Has the layers and tensors of the file under names that are near to the file's."""

    edgekit_graph: Graph
    """Called so because no network has a layer of that name."""

    def run(self, *given: Tensor, keep: Iterable[str] = ()) -> dict[str, Value]:
        """Return the values that are left at the end, and those to keep, by the file's names."""
        values: dict[str, Value] = dict(zip(self.edgekit_graph.inputs, given, strict=True))
        kept = {*self.edgekit_graph.outputs.values(), *keep}
        for number, node in enumerate(self.edgekit_graph.nodes):
            wanted = self._wanted(node)
            read = [self._value(values, name) if place in wanted else None for place, name in enumerate(node.reads)]
            try:
                found = self._computed(node, read)
            except Exception as error:  # anything may be raised by torch
                raise _told(node, error) from error
            values.update(zip(node.writes, found, strict=False))
            for name in node.reads:
                if self.edgekit_graph.last.get(name) == number and name not in kept:
                    values.pop(name, None)
        return values

    def _wanted(self, node: Node) -> Iterable[int]:
        """Return the places of the inputs that a node reads by itself; its layer has the others."""
        if node.writes[0] not in self.edgekit_graph.layers:
            return range(len(node.reads))
        return (1,) if node.op == "Gather" else (0, *_STATES.get(node.op, ()))

    def _value(self, values: dict[str, Value], name: str) -> Value:
        if not name:
            return None
        if name in values:
            return values[name]
        if name in self.edgekit_graph.sizes:
            return self.edgekit_graph.sizes[name]
        owner, _, own = self.edgekit_graph.constants[name].rpartition(".")
        found: Tensor = getattr(self.get_submodule(owner), own)
        return found

    def _computed(self, node: Node, read: list[Value]) -> tuple[Value, ...]:
        if (path := self.edgekit_graph.layers.get(node.writes[0])) is not None:
            layer = self.get_submodule(path)
            if isinstance(layer, nn.Embedding):
                return (layer(tensor(read[1])),)
            states = [
                tensor(read[place])
                for place in _STATES.get(node.op, ())
                if place < len(read) and read[place] is not None
            ]
            found = layer(tensor(read[0]), *states)
        elif node.op in ON_SIZES and _are_sizes(node, read):
            found = ON_SIZES[node.op](node, [value for value in read if isinstance(value, np.ndarray)])
        elif node.op == "ConstantOfShape" and _of_sizes(node, read[0]):
            found = np.full([int(size) for size in numbers(read[0], "its shape")], int(node.attribute("value")), object)
        else:
            found = OPERATORS[node.op](node, *read)
        return tuple(found) if isinstance(found, tuple | list) else (found,)

    def results(self, *given: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        values = self.run(*given)
        found = {}
        for name, file_name in self.edgekit_graph.outputs.items():
            value = tensor(self._value(values, file_name))
            found[name] = value
        return found


def _are_sizes(node: Node, read: list[Value]) -> bool:
    """Whether a node computes sizes of sizes: a result of a symbolic or a large size is a tensor."""
    given = [value for value in read if isinstance(value, np.ndarray)]
    if not given or len(given) < sum(value is not None for value in read):
        return False
    match node.op:
        case "Expand" | "Tile":
            sizes = given[1].reshape(-1).tolist()
            return all(isinstance(size, int) for size in sizes) and given[0].size * math.prod(sizes) <= HOST_ELEMENTS
        case "Range":
            ends = [one.reshape(-1)[0] for one in given]
            return all(isinstance(end, int) for end in ends) and len(range(*ends)) <= HOST_ELEMENTS
    return True


def _of_sizes(node: Node, shape: Value) -> bool:
    """Whether a node makes a few integers, as the paddings are that an exporter computes."""
    fill = node.attribute("value")
    sizes = shape.reshape(-1).tolist() if isinstance(shape, np.ndarray) else [HOST_ELEMENTS + 1]
    few = all(isinstance(size, int) for size in sizes) and math.prod(sizes) <= HOST_ELEMENTS
    return few and fill is not None and not fill.is_floating_point()


_RESERVED = {*dir(OnnxModule()), "edgekit_graph"}


def small(value: Tensor) -> bool:
    """Whether a constant is one whose values shapes may depend on, or a number that stands in an operation."""
    return (value.numel() <= HOST_ELEMENTS and not value.is_floating_point() and value.ndim <= 1) or (
        value.numel() == 1 and value.ndim <= 1
    )


class Paths:
    """Paths of layers and tensors: the file's names as paths of modules, each of them once.

    A part that every module has already, such as ``type`` or ``train``, is written with an underscore behind it.
    """

    def __init__(self) -> None:
        self._leaves: set[str] = set()
        self._folders: set[str] = set()

    def of(self, name: str) -> str:
        """Return a path for a name: no other's, and with nothing that computes on the way."""
        parts = [re.sub(r"\W", "_", part) for part in re.split(r"[./:]+", name.strip("/")) if part] or ["node"]
        parts = [f"{part}_" if part in _RESERVED else part for part in parts]
        while len(parts) > 1 and self._leaves & set(_above(parts)):
            parts = [*parts[:-2], f"{parts[-2]}_{parts[-1]}"]
        path = found = ".".join(parts)
        count = 1
        while found in self._leaves or found in self._folders:
            found, count = f"{path}_{count}", count + 1
        self._leaves.add(found)
        self._folders |= set(_above(found.split(".")))
        return found


def _above(parts: list[str]) -> list[str]:
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def put(module: nn.Module, path: str, value: nn.Module | Tensor) -> None:
    """Register a layer or a tensor at a path, with plain modules on the way."""
    *parts, name = path.split(".")
    for part in parts:
        if part not in module._modules:
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    if isinstance(value, nn.Module):
        module.add_module(name, value)
    else:
        module.register_buffer(name, value)


def _told(node: Node, error: Exception) -> Exception:
    if isinstance(error, EdgeKitError):
        return error
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return OnnxError(f"{lines[0]} ({node.op}, node {node.name})")


def with_signature(module: OnnxModule, names: tuple[str, ...]) -> OnnxModule:
    """Give a module a class of its own whose ``forward`` names the inputs."""
    import inspect

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def forward(self: OnnxModule, *given: Tensor) -> Any:
        return self.results(*given)

    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", kind), *(inspect.Parameter(one, kind) for one in names)]
    )
    module.__class__ = type("OnnxModel", (OnnxModule,), {"forward": forward, "__module__": __name__})
    return module

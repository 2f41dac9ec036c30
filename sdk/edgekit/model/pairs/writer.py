"""Write the calls that a complex one stands for, in front of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from edgekit.model.constants import Constants

Part = fx.Node | float | None
"""One part of a complex number: a node with real values, a number, or None for nought."""

_aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A complex value by its parts, which have its shape where they are nodes."""

    real: Part
    imag: Part

    def map(self, change: Callable[[fx.Node], Part]) -> "Pair":
        """Return the pair with the parts changed that are nodes."""
        real, imag = (change(part) if isinstance(part, fx.Node) else part for part in (self.real, self.imag))
        return Pair(real=real, imag=imag)


@dataclass(kw_only=True)
class Writer:
    """Adds nodes and constants to a graph module; values get their shapes when the graph is captured again."""

    module: fx.GraphModule
    known: Constants
    """The values of what depends on no input."""
    place: fx.Node
    """In front of what nodes are added, and where they come from."""
    constants: dict[str, fx.Node] = field(default_factory=dict)
    """The constants that were added, by name."""

    def call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Add a call; in float constants the types follow those of the other values."""
        with self.module.graph.inserting_before(self.place):
            node = self.module.graph.call_function(target, args, kwargs)
        node.meta = {key: value for key, value in self.place.meta.items() if key != "val"}
        return node

    def constant(self, name: str, value: Tensor) -> fx.Node:
        """Add a buffer, once for each name."""
        if name not in self.constants:
            self.module.register_buffer(name, value.contiguous())
            first = next(iter(self.module.graph.nodes))
            with self.module.graph.inserting_before(first):
                self.constants[name] = self.module.graph.get_attr(name)
        return self.constants[name]

    def add(self, one: Part, other: Part, *, sign: int = 1) -> Part:
        """Return ``one + sign * other``."""
        if other is None:
            return one
        if one is None:
            return other if sign > 0 else self.scaled(other, -1.0)
        if isinstance(one, float) and isinstance(other, float):
            return one + sign * other
        if isinstance(one, float):
            return self.call(_aten.add.Tensor if sign > 0 else _aten.rsub.Scalar, other, one)
        return self.call(_aten.add.Tensor if sign > 0 else _aten.sub.Tensor, one, other)

    def times(self, one: Part, other: Part) -> Part:
        """Return the product of two parts."""
        if one is None or other is None:
            return None
        if isinstance(one, float):
            return self.scaled(other, one)
        return self.scaled(one, other) if isinstance(other, float) else self.call(_aten.mul.Tensor, one, other)

    def scaled(self, part: Part, factor: float) -> Part:
        """Return a part times a number."""
        if part is None or factor == 1:
            return part
        return part * factor if isinstance(part, float) else self.call(_aten.mul.Tensor, part, factor)

    def node(self, part: Part, like: Part) -> fx.Node:
        """Return a part as a node, of the shape of another part where it has none."""
        if isinstance(part, fx.Node):
            return part
        assert isinstance(like, fx.Node)
        return self.call(_aten.full_like.default, like, part or 0.0)

"""Channels that can be scaled: which of them must be scaled alike, who writes them, and who makes up for it.

Scaling a channel by a positive factor commutes with all that is positively homogeneous: ReLU, pooling, concatenation,
the sum of two tensors that are scaled alike, the product with a gate. If the layer that writes the channel multiplies
its weights by the factor, and those that read it divide theirs, the network computes what it did.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor, fx

_aten = torch.ops.aten


class Kind(Enum):
    """What writes a channel."""

    LAYER = "layer"
    """A convolution, a linear layer, the batch norm behind one, or a product with a gate."""
    NORM = "norm"
    """A layer norm."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A layer whose output channels can be scaled: its parameters have a row for each."""

    kind: Kind
    parameters: tuple[fx.Node, ...] = ()
    """The parameters, output channels first; none if the writer is a product with a gate."""
    gate: fx.Node | None = None
    """The gate that a product takes, one value for each channel: a factor can be put behind it."""
    channels: Tensor
    """Number of each output channel, int64."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A weighted layer that can make up for scaled inputs."""

    data: fx.Node
    weight: fx.Node
    channels: Tensor
    """Number of each input channel, int64."""
    groups: int


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A value in the graph, with the number of the channel at each index of one of its axes."""

    axis: int
    channels: Tensor


@dataclass(kw_only=True)
class Channels:
    """The channels of a graph: those of one class are scaled alike, and those of a held class not at all."""

    values: dict[fx.Node, Tracked] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    clamps: list[tuple[fx.Node, float]] = field(default_factory=list)
    """Clamps from zero to an upper end, beyond which scaling must not move a value."""
    _parents: list[int] = field(default_factory=list)
    _held: set[int] = field(default_factory=set)

    def classes(self) -> tuple[Tensor, Tensor]:
        """Return the class of every channel, int64, and whether a class is held, bool; both of shape (channels,)."""
        roots = torch.tensor([self._find(number) for number in range(len(self._parents))], dtype=torch.int64)
        held = torch.zeros(len(roots), dtype=torch.bool)
        held[[self._find(number) for number in self._held]] = True
        return roots, held

    def fresh(self, count: int) -> Tensor:
        """Return the numbers of new channels."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return torch.arange(start, start + count)

    def hold(self, node: Any) -> None:
        """Keep the channels of a value as they are."""
        if isinstance(node, fx.Node) and node in self.values:
            self._held.update(self.values[node].channels.tolist())

    def join(self, first: Tensor, second: Tensor) -> None:
        """Let channels be scaled alike, index by index."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            self._parents[self._find(one)] = self._find(other)

    def _find(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

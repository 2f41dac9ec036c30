"""Channels that can be scaled: which of them must be scaled alike, who writes them, and who makes up for it.

Scaling a channel by a positive factor commutes with all that is positively homogeneous: ReLU, pooling, concatenation,
the sum of two tensors that are scaled alike, the product with a gate. A clamp such as ReLU6 is not: its end stays where
it is, and the first sample brighter than calibration's takes a scaled channel there. If the layer that writes the
channel multiplies its weights by the factor, and those that read it divide theirs, the network computes what it did.
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

    node: fx.Node
    """The layer, or the product."""
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
    _count: int = 0
    _joined: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _held: list[Tensor] = field(default_factory=list)

    def classes(self) -> tuple[Tensor, Tensor]:
        """Return the class of every channel, int64, and whether a class is held, bool; both of shape (channels,)."""
        roots = components(self._count, self._joined)
        held = torch.zeros(self._count, dtype=torch.bool)
        for channels in self._held:
            held[roots[channels]] = True
        return roots, held

    def fresh(self, count: int) -> Tensor:
        """Return the numbers of new channels."""
        start = self._count
        self._count += count
        return torch.arange(start, self._count)

    def hold(self, node: Any) -> None:
        """Keep the channels of a value as they are."""
        if isinstance(node, fx.Node) and node in self.values:
            self._held.append(self.values[node].channels)

    def join(self, first: Tensor, second: Tensor) -> None:
        """Let channels be scaled alike, index by index."""
        self._joined.append((first, second))


def components(count: int, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return for each of ``count`` numbers the least of those that pairs connect it with, int64 of shape (count,).

    Args:
        count: How many numbers there are, from zero.
        pairs: Numbers that belong together, index by index, int64.
    """
    least = torch.arange(count)
    one, other = (torch.cat([pair[side] for pair in pairs]) if pairs else least[:0] for side in (0, 1))
    while True:
        # All pairs at once: both sides, and what stands for them so far, take the lesser; then all follow what stands
        # for them. Chains halve with every round.
        met = torch.minimum(least[one], least[other])
        after = least
        for place in (one, other, least[one], least[other]):
            after = after.scatter_reduce(0, place, met, "amin")
        after = after[after]
        if torch.equal(after, least):
            return least
        least = after

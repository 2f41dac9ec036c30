"""Layers whose weights were one parameter: they are rounded once, for the inputs of all of them.

So the same integers stand in all of them, and a file holds them once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute, behind_observers
from edgekit.quantization.functions import WEIGHTED
from edgekit.quantization.observers import PerChannelWeightObserver
from edgekit.quantization.rounding import Gathered, centred, most_patches, patches
from edgekit.quantization.uses import families


@dataclass(kw_only=True)
class Joint:
    """What the uses of one weight read, and how it was rounded."""

    uses: int
    inputs: list[Tensor]
    """From `patches`, in float, some for each use: about their own means, since each use has a bias of its own."""
    rounded: Tensor | None = None
    """Once the first of them had its turn."""


def joint(prepared: fx.GraphModule, parts: Sequence[tuple[Tensor, ...]]) -> dict[fx.Node, Joint]:
    """Return, for each weight that is still the same in several layers, what these have in common.

    A batch norm of its own makes another weight of a use, a large bias other steps: it is then rounded for itself.

    Args:
        prepared: A prepared graph.
        parts: Calibration samples, as the arguments of one call each.
    """
    layers = [node for node in prepared.graph.nodes if node.target in WEIGHTED]
    steps = {_stored(node): scale for node in layers if (scale := _scale(prepared, node)) is not None}
    found: dict[fx.Node, Joint] = {}
    for family in families(prepared.graph.nodes).values():
        left = [node for node in family if node in steps]
        while left:
            first = attribute(prepared, left[0]), steps[left[0]]
            same = [node for node in left if _equal((attribute(prepared, node), steps[node]), first)]
            if len(same) > 1:
                found |= dict.fromkeys(same, Joint(uses=len(same), inputs=[]))
            left = [node for node in left if node not in same]
    if found:
        collect = _Collect(prepared, found, len(parts))
        for part in parts:
            collect.run(*part)
        for layer, seen in collect.seen.items():
            found[_stored(layer)].inputs.append(centred(seen.whole))
    return found


def _stored(layer: fx.Node) -> fx.Node:
    weight = layer.args[1]
    assert isinstance(weight, fx.Node)
    return behind_observers(weight)


def _scale(prepared: fx.GraphModule, layer: fx.Node) -> Tensor | None:
    """Return the scales of a layer's weight, None if it stays float."""
    weight = layer.args[1]
    if not isinstance(weight, fx.Node) or weight.op != "call_module":
        return None
    observer = prepared.get_submodule(str(weight.target))
    return observer.scale if isinstance(observer, PerChannelWeightObserver) else None


def _equal(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return all(map(torch.equal, one, other))


class _Collect(fx.Interpreter):
    """Runs a prepared graph in float, without letting its observers see anything."""

    def __init__(self, module: fx.GraphModule, wanted: dict[fx.Node, Joint], parts: int) -> None:
        super().__init__(module)
        self._graph_module, self._wanted, self._parts = module, wanted, parts
        self.seen: dict[fx.Node, Gathered] = {}
        """What each layer read."""

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Read through an observer."""
        return args[0]

    def run_node(self, n: fx.Node) -> Any:
        """Note what a layer reads."""
        if n.target in WEIGHTED and (stored := _stored(n)) in self._wanted:
            data = n.args[0]
            assert isinstance(data, fx.Node)
            weight = attribute(self._graph_module, stored)
            most = max(1, most_patches(n, weight) // (self._wanted[stored].uses * self._parts))
            self.seen.setdefault(n, Gathered(self._parts, most)).add(patches(n, self.env[data], weight, most))
        return super().run_node(n)

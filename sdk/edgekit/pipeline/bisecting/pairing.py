"""Which value of a file stands for which node of the program, and which values of two files stand for each other.

No file keeps a map. The one that was lowered from the program here has its steps and zero points, so that each value in
integers is told by these and its shape; among several it is the one that is nearest. A float value is that of the first
node, in order, that computes the same: the program is led by all that was found before. Another file of the same
network has the same operations in the same order, but for those that a fault took out of it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, fx

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model import graph
from edgekit.model.program import Quantized
from edgekit.pipeline.profiling.observing import Run, decibel
from edgekit.pipeline.profiling.places import FLOAT_DB, Doubles, Place, Spot, Tap, is_of, rounds_per_tensor

_One = TypeVar("_One")
Least = Callable[[fx.Node], float]


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A value of a file that may stand for one of the program's."""

    name: str
    scale: float | None = None
    """Its step; None: it is float."""
    zero_point: int = 0
    """As of signed integers."""
    shift: int = 0
    """What its integers have more than signed ones."""

    def place(self, node: fx.Node, least_db: float) -> Place:
        """Return the place at which it stands for a node's value; of a float, how near it must be."""
        if self.scale is None:
            return Tap(node=node, output=self.name, least_db=least_db)
        return Spot(node=node, output=self.name, scale=self.scale, zero_point=self.zero_point, shift=self.shift)


def exact(node: fx.Node) -> float:
    """Return how near a float value must be, in dB: as sums in another order are."""
    return FLOAT_DB


def paired(
    offered: Sequence[Offered], run: Run, quantized: Quantized, few: Samples, least: Least = exact
) -> dict[str, str]:
    """Return the node of the program that each value of the file lowered from it stands for, by the value's name.

    Args:
        offered: Its values, in the order of running.
        run: Runs the file, giving these.
        quantized: The program.
        few: Some samples.
        least: How near the value of a node must be if it is float.
    """
    leading = _Leading(quantized.program.module(check_guards=False), offered, run(few), least)
    with torch.inference_mode():
        leading.run(*(torch.from_numpy(few.array(spec.name)) for spec in quantized.captured.source.inputs))
    return leading.found


def counterparts(
    ours: Mapping[str, _One], theirs: Mapping[str, _One], kinds: Mapping[str, Hashable], others: Mapping[str, Hashable]
) -> dict[str, _One]:
    """Return the values of another file of a network that stand for those of one, by the names of these.

    Args:
        ours: The values of the one by name, in the order of running.
        theirs: Those of the other.
        kinds: What each of ours is computed by: only what is alike is paired.
        others: The same of theirs.
    """
    first, second = list(ours), list(theirs)
    kind = [kinds[name] for name in first], [others[name] for name in second]
    blocks = SequenceMatcher(None, *kind, autojunk=False).get_matching_blocks()
    return {first[block.a + at]: theirs[second[block.b + at]] for block in blocks for at in range(block.size)}


def places(
    pairs: Mapping[str, str], values: Mapping[str, Offered], program: fx.Graph, least: Least = exact
) -> tuple[Place, ...]:
    """Return the places at which a file is held against the program, in its order.

    Args:
        pairs: The node for each value of the file lowered from the program.
        values: The file's value for each of these values.
        program: The graph of the program's module.
        least: How near the value of a node must be if it is float.
    """
    named = {node: values[value] for value, node in pairs.items() if value in values}
    return tuple(named[node.name].place(node, least(node)) for node in program.nodes if node.name in named)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """A value that may stand for a node's."""

    one: Offered
    place: Place
    values: Doubles
    apart: float
    """How far it is: how many integers are others, or the SQNR with a minus."""


class _Leading(fx.Interpreter):
    """Runs the program, finds the file's value for each node's, and goes on from it."""

    def __init__(
        self, module: fx.GraphModule, offered: Sequence[Offered], computed: Mapping[str, Array], least: Least
    ) -> None:
        super().__init__(module)
        self._least = least
        self._waiting = list(offered)
        self._computed = computed
        self.found: dict[str, str] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node."""
        value = super().run_node(n)
        if not isinstance(value, Tensor):
            return value
        fit = self._spot(n, value) if rounds_per_tensor(n) else self._tap(n, value) if graph.is_compute(n) else None
        if fit is None:
            return value
        self._waiting.remove(fit.one)
        self.found[fit.one.name] = n.name
        return fit.place.as_program(fit.values, value)

    def _spot(self, node: fx.Node, value: Tensor) -> _Fit | None:
        fits = []
        for one in self._shaped(value):
            if one.scale is not None and is_of(node, one.scale, one.zero_point):
                place = one.place(node, self._least(node))
                values = place.of_artifact(self._computed[one.name]).reshape(value.shape)
                apart = int(np.count_nonzero(np.abs(values - place.of_program(value)) > 0.5 * one.scale))
                fits.append(_Fit(one=one, place=place, values=values, apart=apart))
        return min(fits, key=lambda fit: fit.apart, default=None)

    def _tap(self, node: fx.Node, value: Tensor) -> _Fit | None:
        if value.dtype != torch.float32:
            return None
        fits, least = [], self._least(node)
        for one in self._shaped(value):
            if one.scale is None:
                place = one.place(node, least)
                values = place.of_artifact(self._computed[one.name]).reshape(value.shape)
                right = place.of_program(value)
                ratio = decibel(float(np.square(right).sum()), float(np.square(right - values).sum()))
                if ratio is None or ratio >= least:
                    fits.append(_Fit(one=one, place=place, values=values, apart=-np.inf if ratio is None else -ratio))
        return min(fits, key=lambda fit: fit.apart, default=None)

    def _shaped(self, value: Tensor) -> list[Offered]:
        sides = _sides(value.shape)
        return [one for one in self._waiting if _sides(self._computed[one.name].shape) == sides]


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)

"""Which value of a .pte stands for which node of the program, and which values of two .pte stand for each other.

ExecuTorch keeps no map. The file that was lowered from the program here has its steps and zero points, so that each
value in int8 is told by these and its shape; among several it is the one that is nearest. A float value is that of the
first node, in order, that computes the same: the program is led by all that was found before. Another file of the same
network has the same kernels in the same order, but for those that a fault took out of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model import graph
from edgekit.model.program import Quantized
from edgekit.pipeline.bisecting.ptefile import Inner, PteFile
from edgekit.pipeline.profiling.observing import FLOAT_DB, Run, decibel
from edgekit.pipeline.profiling.places import Doubles, Place, Spot, Tap, is_of, rounds_per_tensor


def candidates(file: PteFile) -> tuple[str, ...]:
    """Return the values of a .pte that may stand for one of the program: none that is only moved, or unpacked."""
    unpacked = {
        one.name
        for one in file.inner.values()
        if one.kernel.kind == "Convert"
        and one.value.kind == "fp32"
        and file.delegates[one.call].values[one.kernel.inputs[0]].kind != "fp32"
    }
    return tuple(one.name for one in file.inner.values() if not one.kernel.moves and one.name not in unpacked)


def paired(file: PteFile, run: Run, quantized: Quantized, few: Samples) -> dict[str, str]:
    """Return the node of the program that each value of the file lowered from it stands for, by the value's name.

    Args:
        file: The file.
        run: Runs it, giving its `candidates`.
        quantized: The program.
        few: Some samples.
    """
    leading = _Leading(quantized.program.module(check_guards=False), file, run(few))
    with torch.inference_mode():
        leading.run(*(torch.from_numpy(few.array(spec.name)) for spec in quantized.captured.source.inputs))
    return leading.found


def counterparts(own: PteFile, other: PteFile) -> dict[str, Inner]:
    """Return the values of another file of a network that stand for those of one, by the names of these."""
    ours, theirs = list(own.inner.values()), list(other.inner.values())
    blocks = SequenceMatcher(None, [_kind(one) for one in ours], [_kind(one) for one in theirs], autojunk=False)
    return {
        ours[block.a + at].name: theirs[block.b + at]
        for block in blocks.get_matching_blocks()
        for at in range(block.size)
    }


def places(pairs: Mapping[str, str], values: Mapping[str, Inner], program: fx.Graph) -> tuple[Place, ...]:
    """Return the places at which a file is held against the program, in its order.

    Args:
        pairs: The node for each value of the file lowered from the program.
        values: The file's value for each of these values.
        program: The graph of the program's module.
    """
    named = {node: values[value] for value, node in pairs.items() if value in values}
    return tuple(_place(node, named[node.name]) for node in program.nodes if node.name in named)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """A value that may stand for a node's."""

    inner: Inner
    place: Place
    values: Doubles
    apart: int


class _Leading(fx.Interpreter):
    """Runs the program, finds the file's value for each node's, and goes on from it."""

    def __init__(self, module: fx.GraphModule, file: PteFile, computed: Mapping[str, Array]) -> None:
        super().__init__(module)
        self._waiting = [file.inner[name] for name in candidates(file)]
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
        self._waiting.remove(fit.inner)
        self.found[fit.inner.name] = n.name
        return fit.place.as_program(fit.values, value)

    def _spot(self, node: fx.Node, value: Tensor) -> _Fit | None:
        fits = []
        for one in self._shaped(value):
            if one.value.scale is not None and is_of(node, one.value.scale, one.value.zero_point):
                place = _place(node, one)
                values = place.of_artifact(self._computed[one.name]).reshape(value.shape)
                apart = int(np.count_nonzero(np.abs(values - place.of_program(value)) > 0.5 * one.value.scale))
                fits.append(_Fit(inner=one, place=place, values=values, apart=apart))
        return min(fits, key=lambda fit: fit.apart, default=None)

    def _tap(self, node: fx.Node, value: Tensor) -> _Fit | None:
        if value.dtype != torch.float32:
            return None
        for one in self._shaped(value):
            if one.value.kind == "fp32":
                place = _place(node, one)
                values = place.of_artifact(self._computed[one.name]).reshape(value.shape)
                right = place.of_program(value)
                ratio = decibel(float(np.square(right).sum()), float(np.square(right - values).sum()))
                if ratio is None or ratio >= FLOAT_DB:
                    return _Fit(inner=one, place=place, values=values, apart=0)
        return None

    def _shaped(self, value: Tensor) -> list[Inner]:
        sides = _sides(value.shape)
        return [one for one in self._waiting if _sides(self._computed[one.name].shape) == sides]


def _place(node: fx.Node, inner: Inner) -> Place:
    if inner.value.scale is None:
        return Tap(node=node, output=inner.name)
    return Spot(node=node, output=inner.name, scale=inner.value.scale, zero_point=inner.value.zero_point, shift=0)


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)


def _kind(one: Inner) -> tuple[str, str, tuple[int, ...]]:
    return one.kernel.kind, one.value.kind, one.value.dims

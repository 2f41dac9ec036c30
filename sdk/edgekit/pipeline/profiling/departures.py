"""Where an artifact first departs from the quantized program, value by value.

Two things are measured at each place where the program rounds. The SQNR against the program says how far the two have
come apart by then: values that lie between two steps fall to either side, and a deep network spreads that until little
can be told from it. So the program is run a second time, and goes on from the artifact's own values at each place: what
differs then was done by the artifact between the places before and this one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import fx

from edgekit.bundles.profile import Departure, LoweringLeg
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.drift.metrics import sqnr_db
from edgekit.model.program import Captured, Quantized, Source, named_outputs
from edgekit.pipeline.profiling.places import Doubles, Place, Spot, Tap, giver, layers_of, spots
from edgekit.pipeline.profiling.tapped import tapped
from edgekit.quantization.portions import numbers
from edgekit.spec import Cpu

# Kernels and program round what lies between two steps to either: one value in 400 in the sample. More of them, or
# values that are more than a step apart, are another computation. A value so near to the middle, in steps, as a mean of
# four integers often is, may go either way however many there are.
_TIPPED, _FAR, _MIDDLE = 0.02, 0.001, 0.01
# Float outputs differ by the order of sums alone, at 100 dB and more.
_FLOAT_DB = 60.0
# Samples that are compared: as many as have about so many inner values, within these bounds.
_VALUES = 2**28
_LEAST, _MOST = 8, 64


@dataclass(kw_only=True)
class Sums:
    """What was seen at one place so far; ``largest`` is the largest difference of the values that were led."""

    signal: float = 0.0
    noise: float = 0.0
    own: float = 0.0
    tipped: int = 0
    far: int = 0
    count: int = 0
    largest: float = 0.0
    rounds: bool = True

    def add(
        self,
        program: Doubles,
        artifact: Doubles,
        led: Doubles,
        step: float | None = None,
        exact: Doubles | None = None,
    ) -> None:
        """Count the values of one batch: the program's, the artifact's, and the program's led by the artifact's.

        Where a value is rounded, ``step`` is how far two neighbours are apart, and ``exact`` what the program rounds;
        a float value has neither.
        """
        self.rounds = step is not None
        self.signal += float(np.square(program).sum())
        self.noise += float(np.square(program - artifact).sum())
        self.own += float(np.square(led - artifact).sum())
        self.count += artifact.size
        apart = np.abs(led - artifact)
        self.largest = max(self.largest, float(apart.max(initial=0.0)))
        if step is not None:
            steps = apart / step
            other = steps > 0.5
            if exact is not None:
                other &= np.abs(exact - artifact) / step > 0.5 + _MIDDLE
            self.tipped += int(other.sum())
            self.far += int((steps > 1.5).sum())

    @property
    def departs(self) -> bool:
        """Whether what the artifact did here is more than rounding."""
        if self.rounds:
            return self.tipped > _TIPPED * self.count or self.far > _FAR * self.count
        own = _decibel(self.signal, self.own)
        return own is not None and own < _FLOAT_DB

    def departure(self, name: str, path: str) -> Departure:
        """Return the numbers of the place."""
        own = _decibel(self.signal, self.own)
        return Departure(name=name, path=path, sqnr_db=_decibel(self.signal, self.noise), own_sqnr_db=own)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A place at which an .onnx was held against the program, in the order of the graph."""

    name: str
    """The output's name, or that of the node in the program that computed the value."""
    node: fx.Node
    """That node."""
    place: Place | None
    """Where both were tapped; None: an output."""
    sums: Sums


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What an .onnx and the program computed at every place."""

    module: fx.GraphModule
    """The program."""
    seen: tuple[Seen, ...]
    note: str
    """What was looked at."""

    @property
    def first(self) -> Seen | None:
        """The first place at which the artifact did more than round."""
        return next((one for one in self.seen if one.sums.departs), None)


def observe(
    file: str,
    data: bytes,
    cpu: Cpu,
    quantized: Quantized,
    samples: Samples,
    taps: tuple[Tap, ...] = (),
    *,
    foreign: bool = False,
) -> Observed:
    """Compare an .onnx with the quantized program, at every place where both round and at the outputs.

    The integers behind each QuantizeLinear are made outputs of a copy of the model; that leaves the fused kernels of
    ONNX Runtime as they are. Float values that are tapped, too, keep what lies around them from being fused.

    Args:
        file: The artifact's file.
        data: Its bytes.
        cpu: The processor family whose arithmetic the kernels follow.
        quantized: The program.
        samples: What to feed both.
        taps: Float values to look at, too; of nodes of the graph that every such call makes of the program.
        foreign: Whether the file is of somebody else: it is then run in a process of its own.

    Raises:
        RunError: If ONNX Runtime cannot run the copy.
    """
    module = quantized.program.module(check_guards=False)
    model = onnx.load_model_from_string(data)
    found, missing = spots(model, module.graph)
    order = {node.name: number for number, node in enumerate(module.graph.nodes)}
    places: tuple[Place, ...] = tuple(sorted((*found, *taps), key=lambda place: order[place.node.name]))
    source = quantized.captured.source
    run = tapped(file, model, places, cpu, source, foreign=foreign)
    sums = {name: Sums() for name in (*(place.node.name for place in places), *(spec.name for spec in source.outputs))}
    for part in samples.batches(source.batch or _at_once(quantized.captured), multiple=source.batch or 1):
        artifact = run(part)
        values = {place.node.name: place.of_artifact(artifact[place.output]) for place in places}
        alone, led = (walk(module, places, source, part, given) for given in ({}, values))
        for place in places:
            name = place.node.name
            exact = led.exact.get(name)
            sums[name].add(alone.seen[name], values[name], led.seen[name], place.step, exact)
        for spec in source.outputs:
            sums[spec.name].add(alone.seen[spec.name], artifact[spec.name].astype(np.float64), led.seen[spec.name])
    seen = []
    for place in places:
        node = giver(place.node)
        seen.append(Seen(name=node.name, node=node, place=place, sums=sums[place.node.name]))
    for spec, node in zip(source.outputs, _ends(module.graph), strict=True):
        seen.append(Seen(name=spec.name, node=giver(node), place=None, sums=sums[spec.name]))
    return Observed(module=module, seen=tuple(seen), note=_note(len(found), missing, len(samples)))


def of_onnx(
    file: str, data: bytes, cpu: Cpu, quantized: Quantized, samples: Samples, known: frozenset[str]
) -> LoweringLeg:
    """Say where an .onnx first departs from the quantized program, see `observe`.

    Args:
        file: The artifact's file.
        data: Its bytes.
        cpu: The processor family whose arithmetic the kernels follow.
        quantized: The program.
        samples: What to feed both.
        known: Paths of the layers; see `layers_of`.

    Raises:
        RunError: If ONNX Runtime cannot run the copy.
    """
    observed = observe(file, data, cpu, quantized, samples)
    layers = layers_of(observed.module.graph, known)
    paths = [layers.get(one.node.name, "") for one in observed.seen]
    return LoweringLeg(
        artifact=file,
        observed=tuple(one.sums.departure(one.name, path) for one, path in zip(observed.seen, paths, strict=True)),
        first=None if (first := observed.first) is None else paths[observed.seen.index(first)] or first.name,
        note=observed.note,
    )


def enough(captured: Captured, samples: Samples) -> Samples:
    """Return as many of the samples, evenly spread, as give each place values enough to tell: of large networks few."""
    return samples.spread(int(min(_MOST, max(_LEAST, _VALUES // _values(captured)))))


def of_outputs(file: str, quantized: Trace, candidate: Trace, note: str) -> LoweringLeg:
    """Compare the outputs alone, where a runtime shows nothing else.

    Args:
        file: The artifact's file.
        quantized: What the quantized program gave.
        candidate: What the artifact gave for the same samples.
        note: Why there is no more.
    """
    observed = []
    for name, array in quantized.outputs.items():
        ratio = sqnr_db(array, candidate.outputs[name])
        observed.append(Departure(name=name, path="", sqnr_db=ratio))
    return LoweringLeg(artifact=file, observed=tuple(observed), first=None, note=note)


def _values(captured: Captured) -> float:
    """Return how many numbers a network computes for one sample."""
    return max(1.0, sum(numbers(captured).values()))


def _at_once(captured: Captured) -> int:
    """Return how many samples to compare at once: all their inner values are held, of both and of the program led."""
    return max(1, min(captured.rows, int(captured.memory.streams / (4 * 8 * _values(captured)))))


def walk(
    module: fx.GraphModule, places: Sequence[Place], source: Source, part: Samples, given: Mapping[str, Doubles]
) -> "Led":
    """Run the program, led by what is given, and note what it computed at each place by node, and its outputs."""
    led = Led(module, places, given)
    with torch.inference_mode():
        result = led.run(*(torch.from_numpy(part.array(spec.name)) for spec in source.inputs))
    named = named_outputs(source.name, result, source.outputs)
    led.seen |= {name: tensor.double().numpy() for name, tensor in named.items()}
    return led


class Led(fx.Interpreter):
    """Runs the program, and at places goes on from the values that are given for them."""

    def __init__(self, module: fx.GraphModule, places: Sequence[Place], given: Mapping[str, Doubles]) -> None:
        super().__init__(module)
        self._places = {place.node.name: place for place in places}
        self._given = given
        self.seen: dict[str, Doubles] = {}
        """What the program computed at each place, and its outputs."""
        self.exact: dict[str, Doubles] = {}
        """What it rounded there, where it was led."""

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node."""
        place = self._places.get(n.name)
        if isinstance(place, Spot) and n.name in self._given:
            self.exact[n.name] = place.exact(self.fetch_args_kwargs_from_env(n)[0][0])
        value = super().run_node(n)
        if place is None:
            return value
        self.seen[n.name] = place.of_program(value)
        return place.as_program(self._given[n.name], value) if n.name in self._given else value


def _ends(program: fx.Graph) -> tuple[fx.Node, ...]:
    """Return the nodes that give the outputs, in order; one may give several."""
    (returned,) = program.output_node().args
    # The types of an fx node's arguments are wide: an exported module returns a flat sequence.
    return tuple(returned)  # type: ignore[arg-type]


def _decibel(signal: float, noise: float) -> float | None:
    if noise == 0:
        return None
    if not math.isfinite(noise):
        noise = float(np.finfo(np.float32).max)  # NaN or infinity: as far away as can be said
    return 10 * math.log10(max(signal, float(np.finfo(np.float32).tiny)) / noise)


def _note(count: int, missing: int, samples: int) -> str:
    seen = f"Seen at {count} places where the program rounds and at the outputs, on {samples} samples."
    left = f" {missing} more places have no counterpart in the file." if missing else ""
    return seen + left

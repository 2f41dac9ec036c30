"""What an artifact and the quantized program compute at the same places, the program being led by the artifact.

Two things are measured at each place. The SQNR against the program says how far the two have come apart by then: values
that lie between two steps fall to either side, and a deep network spreads that until little can be told from it. So the
program is run a second time, and goes on from the artifact's own values at each place: what differs then was done by
the artifact between the places before and this one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from edgekit.bundles.profile import Departure
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model.program import Captured, Quantized, Source, named_outputs
from edgekit.pipeline.profiling.places import FLOAT_DB, Doubles, Place, Spot, Tap, giver
from edgekit.quantization.portions import numbers

Run = Callable[[Samples], Mapping[str, Array]]
"""Runs a batch, and gives its outputs and its values at some places by name."""
# Kernels and program round what lies between two steps to either: one value in 400 in the sample. More of them, or
# values that are more than a step apart, are another computation. A value so near to the middle, in steps, as a mean of
# four integers often is, may go either way however many there are.
TIPPED, _FAR, _MIDDLE = 0.02, 0.001, 0.01


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
    least_db: float = FLOAT_DB
    allowed: float = TIPPED
    """Share of the values that may be a step away."""

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
            return self.tipped > self.allowed * self.count or self.far > _FAR * self.count
        own = decibel(self.signal, self.own)
        return own is not None and own < self.least_db

    def departure(self, name: str, path: str) -> Departure:
        """Return the numbers of the place."""
        own = decibel(self.signal, self.own)
        return Departure(name=name, path=path, sqnr_db=decibel(self.signal, self.noise), own_sqnr_db=own)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A place at which an artifact was held against the program, in the order of the graph."""

    name: str
    """The output's name, or that of the node in the program that computed the value."""
    node: fx.Node
    """That node."""
    place: Place | None
    """Where both were tapped; None: an output."""
    sums: Sums


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What an artifact and the program computed at every place."""

    module: fx.GraphModule
    """The program."""
    seen: tuple[Seen, ...]
    note: str
    """What was looked at."""

    @property
    def first(self) -> Seen | None:
        """The first place at which the artifact did more than round."""
        return next((one for one in self.seen if one.sums.departs), None)


def compare(
    module: fx.GraphModule,
    places: Sequence[Place],
    run: Run,
    quantized: Quantized,
    samples: Samples,
    note: str,
    *,
    rows: int | None = None,
    allowed: float = TIPPED,
) -> Observed:
    """Compare an artifact with the quantized program at some places and at the outputs.

    Args:
        module: The program.
        places: Where to look, in the order of the program.
        run: Runs the artifact.
        quantized: The program.
        samples: What to feed both.
        note: What is looked at.
        rows: Samples of a call; None: as many as memory allows.
        allowed: Share of the values of a place that may be a step away.

    Raises:
        RunError: If the artifact cannot be run.
    """
    source = quantized.captured.source
    sums = {spec.name: Sums() for spec in source.outputs}
    for place in places:
        sums[place.node.name] = Sums(least_db=place.least_db) if isinstance(place, Tap) else Sums(allowed=allowed)
    for part in samples.batches(source.batch or rows or at_once(quantized.captured), multiple=source.batch or 1):
        artifact = run(part)
        alone = walk(module, places, source, part, {})
        values = of_artifact(places, artifact, alone)
        led = walk(module, places, source, part, values)
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
    return Observed(module=module, seen=tuple(seen), note=note)


def of_artifact(places: Sequence[Place], artifact: Mapping[str, Array], program: "Led") -> dict[str, Doubles]:
    """Return an artifact's values at some places by node, in the shapes of the program's.

    What has another size than the program's is as far from it as can be.
    """
    found = {}
    for place in places:
        values, shape = place.of_artifact(artifact[place.output]), program.seen[place.node.name].shape
        found[place.node.name] = values.reshape(shape) if values.size == math.prod(shape) else np.full(shape, np.inf)
    return found


def values(captured: Captured) -> float:
    """Return how many numbers a network computes for one sample."""
    return max(1.0, sum(numbers(captured).values()))


def at_once(captured: Captured) -> int:
    """Return how many samples to compare at once: all their inner values are held, of both and of the program led."""
    return max(1, min(captured.rows, int(captured.memory.streams / (4 * 8 * values(captured)))))


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


def decibel(signal: float, noise: float) -> float | None:
    """Return the ratio of two energies in dB; None if there is no noise."""
    if noise == 0:
        return None
    if not math.isfinite(noise):
        noise = float(np.finfo(np.float32).max)  # NaN or infinity: as far away as can be said
    return 10 * math.log10(max(signal, float(np.finfo(np.float32).tiny)) / noise)

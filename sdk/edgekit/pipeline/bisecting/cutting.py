"""One operation of an .onnx, cut out of it: what goes in, and what the file and the program make of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model.program import Quantized
from edgekit.pipeline.bisecting.segments import File
from edgekit.pipeline.profiling.observing import Run, Seen, walk
from edgekit.pipeline.profiling.places import Doubles, Place, Spot
from edgekit.pipeline.profiling.tapped import Opener, here, tapped
from edgekit.spec import Cpu

# Samples that the reproducer holds.
KEPT = 4


@dataclass(frozen=True, kw_only=True)
class Look:
    """An .onnx and the program that it is held against."""

    name: str
    """The file's name, for messages."""
    data: bytes
    cpu: Cpu
    quantized: Quantized
    samples: Samples
    file: File
    opener: Opener | None
    """Loads copies of the file; None: into this process."""
    kept: int = KEPT
    """Samples that the reproducer holds; one where samples of a batch share a range."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The operation alone."""

    value: str
    """The value of the file that differs."""
    inputs: dict[str, Array]
    """Values that it is computed from, by name."""
    program: Doubles
    """What the program makes of them."""
    artifact: Doubles
    """What the file does."""
    spot: Spot | None
    """How the value is rounded; None: it is float."""


def few_of(samples: Samples, batch: int | None, kept: int) -> Samples:
    """Return so many of the samples, evenly spread; a whole batch where the model has one."""
    return samples.spread(min(kept, len(samples))).first(batch or kept, multiple=batch or 1)


def value_of(seen: Seen) -> str:
    """Return the file's name for the value at a place."""
    return seen.name if seen.place is None else seen.place.output


def cut(look: Look, places: Sequence[Place], seen: Seen, right: Sequence[Seen]) -> Cut:
    """Run both once more on a few samples, and keep what goes in and comes out.

    Args:
        look: What is compared.
        places: All places that were looked at, the program being led at each.
        seen: Where the two part.
        right: Float values before it in which they agree.

    Raises:
        RunError: If ONNX Runtime cannot run the copy.
    """
    source = look.quantized.captured.source
    few = few_of(look.samples, source.batch, look.kept)
    computed = _run(look, places)(few)
    values = {place.node.name: place.of_artifact(computed[place.output]) for place in places}
    led = walk(look.quantized.program.module(check_guards=False), places, source, few, values)
    value, here = value_of(seen), seen.place
    stop = {place.output for place in places if isinstance(place, Spot) and place.output != value}
    stop |= {value_of(one) for one in right}
    given = {item.name for item in look.file.model.graph.input}
    nodes = look.file.behind(value, stop)
    taken = dict.fromkeys(name for node in nodes for name in node.input if name in stop | given)
    return Cut(
        value=value,
        inputs={name: computed[name] if name in computed else few.array(name) for name in taken},
        program=led.seen[seen.name if here is None else here.node.name],
        artifact=computed[value].astype(np.float64) if here is None else values[here.node.name],
        spot=here if isinstance(here, Spot) else None,
    )


def _run(look: Look, places: Sequence[Place]) -> Run:
    source, values = look.quantized.captured.source, [place.output for place in places]
    return tapped(look.name, look.file.model, values, look.opener or here(look.cpu, source), source)

"""The first operation at which an .onnx does more than round otherwise than the quantized program.

First the places where both round are held against each other with the kernels as they are. What departs there may have
been done by any operation since the roundings before; so the float values between are tapped in a second run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import fx

from edgekit.bundles.bisection import Parting, Worst
from edgekit.data.samples import Samples
from edgekit.model import graph
from edgekit.model.program import Quantized
from edgekit.pipeline.bisecting.cutting import Cut, Look, cut, value_of
from edgekit.pipeline.bisecting.segments import File, of_program, taps
from edgekit.pipeline.profiling import departures
from edgekit.pipeline.profiling.observing import TIPPED, Observed, Seen
from edgekit.pipeline.profiling.places import Spot
from edgekit.pipeline.profiling.tapped import Opener
from edgekit.spec import Cpu

_FUSED = "the fused kernel alone: with the values between as outputs, all of them agree"


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """What was found."""

    parting: Parting | None
    """Where the two part; None: nowhere."""
    cut: Cut | None
    """The operation alone."""
    look: Look
    note: str
    """What was looked at."""


def narrow(
    name: str,
    data: bytes,
    cpu: Cpu,
    quantized: Quantized,
    samples: Samples,
    *,
    opener: Opener | None = None,
    allowed: float = TIPPED,
) -> Narrowed:
    """Find the first operation of an .onnx that departs from the program.

    Args:
        name: The file's name, for messages.
        data: Its bytes.
        cpu: The processor family whose arithmetic the kernels follow.
        quantized: The program, of static int8.
        samples: What to feed both.
        opener: Loads copies of the file with more outputs; into this process unless given.
        allowed: Share of the values of a place that may be a step away.

    Raises:
        RunError: If ONNX Runtime cannot run a copy of the file with more outputs.
    """
    file = File.read(data)
    look = Look(name=name, data=data, cpu=cpu, quantized=quantized, samples=samples, file=file, opener=opener)
    rounded = departures.observe(name, data, cpu, quantized, samples, opener=opener, allowed=allowed)
    first = rounded.first
    if first is None:
        return Narrowed(parting=None, cut=None, look=look, note=rounded.note)
    ours = of_program(first.node if first.place is None else first.place.node)
    known = {value_of(one) for one in rounded.seen if one is not first}
    between = taps(ours, look.file, value_of(first), known)
    inner = rounded
    if between:
        inner = departures.observe(name, data, cpu, quantized, samples, between, opener=opener, allowed=allowed)
    at = {value_of(one): one for one in inner.seen}
    tapped = [at[tap.output] for tap in between]
    faulty = next((one for one in tapped if one.sums.departs), None)
    right = tapped if faulty is None else tapped[: tapped.index(faulty)]
    last = faulty or at[value_of(first)]
    if not last.sums.departs:  # as soon as it is looked into, it is right
        return told(look, rounded, first, ours, (), _FUSED)
    return told(look, inner, last, _since(ours, right, faulty), right)


def _since(ours: list[fx.Node], right: Sequence[Seen], faulty: Seen | None) -> list[fx.Node]:
    """Return the operations since the last value that agrees; none if only the rounding is left."""
    names = [node.name for node in ours]
    begin = names.index(right[-1].node.name) + 1 if right else 0
    return ours[begin : None if faulty is None else names.index(faulty.node.name) + 1]


def told(
    look: Look, observed: Observed, seen: Seen, operations: list[fx.Node], right: Sequence[Seen], reason: str = ""
) -> Narrowed:
    """Say what is known of the operation."""
    places = [one.place for one in observed.seen if one.place is not None]
    alone = cut(look, places, seen, right)
    otherwise = alone.spot is not None and alone.spot.rounds_otherwise
    found = parting(seen, alone, operations, reason or ("" if otherwise else _missing(operations)))
    return Narrowed(parting=found, cut=alone, look=look, note=observed.note)


def parting(seen: Seen, alone: Cut, operations: Sequence[fx.Node], reason: str) -> Parting:
    """Say where a file parts from the program.

    Args:
        seen: The place.
        alone: What both compute there.
        operations: What lies between the values that agree and this one.
        reason: What is known of the cause; empty: a rounding with another step tells that.
    """
    spot = alone.spot
    otherwise = spot is not None and spot.rounds_otherwise
    apart = np.nan_to_num(np.abs(alone.program - alone.artifact), nan=np.inf)
    index = np.unravel_index(int(apart.argmax()), apart.shape)
    # What the file leaves to the rounding, a clamp, cannot be told from it.
    named = [] if otherwise else operations
    node = named[0] if named else (*operations, seen.node)[0]
    return Parting(
        operation=" + ".join(graph.operation(one).rstrip("_") for one in named) or _moving(seen),
        name=node.name,
        path=graph.module_path(node),
        line=graph.line(node),
        value=alone.value,
        sqnr_db=seen.sums.departure(seen.name, "").own_sqnr_db,
        largest=seen.sums.largest,
        largest_steps=None if spot is None else seen.sums.largest / spot.step,
        differing=None if spot is None else seen.sums.tipped / seen.sums.count,
        worst=Worst(
            index=tuple(map(int, index)), first=float(alone.program[index]), second=float(alone.artifact[index])
        ),
        reason=reason or _other_steps(spot),
    )


def _moving(seen: Seen) -> str:
    """Name what lies between the last operation and the rounding: what moves values, or the rounding itself."""
    spot = seen.place
    if isinstance(spot, Spot) and not spot.rounds_otherwise:
        source = spot.node.all_input_nodes[0]
        if source.op == "call_function" and not graph.is_compute(source) and not graph.is_dequantize(source):
            return graph.operation(source)
    return "quantize"


def _missing(operations: list[fx.Node]) -> str:
    """Say what lies between two values that both have: one that only the program has, unless all but the last agree."""
    names = [graph.operation(one).rstrip("_") for one in operations[:-1]]
    return f"the file has nothing that is told for its {', '.join(names)}" if names else ""


def _other_steps(spot: Spot | None) -> str:
    if spot is None or not spot.rounds_otherwise:
        return ""
    return (
        f"the file rounds to steps of {spot.scale:.6g} with zero point {spot.zero_point}, "
        f"the program to {spot.step:.6g} with {spot.zero}"
    )

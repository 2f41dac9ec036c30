"""The first operation at which a .pte does more than round otherwise than the quantized program.

Each value between two kernels of the delegate is made an output of a copy of the file, which the real runtime runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.bundles.bisection import Parting
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model import graph
from edgekit.model.program import Quantized
from edgekit.pipeline.bisecting.cutting import KEPT, Cut, few_of
from edgekit.pipeline.bisecting.narrow import parting
from edgekit.pipeline.bisecting.pairing import counterparts, paired, places
from edgekit.pipeline.bisecting.ptefile import HiddenError, Inner, PteFile
from edgekit.pipeline.bisecting.running import plain, running
from edgekit.pipeline.bisecting.segments import since
from edgekit.pipeline.bisecting.twins import differences
from edgekit.pipeline.profiling.observing import Observed, Run, Seen, Sums, at_once, compare, of_artifact, walk
from edgekit.pipeline.profiling.places import Place, Spot
from edgekit.spec import Cpu

_FUSED = "the fused kernels alone: with the values between as outputs, all of them agree"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found."""

    name: str
    """The file's name."""
    parting: Parting | None
    """Where the two part; None: nowhere."""
    cut: Cut | None
    """The operation's values; None: they part nowhere, or as soon as it is not looked into."""
    alone: bytes | None
    """The operation as a .pte; None: it cannot be cut out."""
    inner: Inner | None
    """What the operation computes."""
    note: str
    """What was looked at."""


def look_inside(
    name: str, data: bytes, own: bytes, cpu: Cpu, quantized: Quantized, samples: Samples, *, foreign: bool = False
) -> Found:
    """Find the first operation of a .pte that departs from the program.

    Args:
        name: The file's name, for messages.
        data: Its bytes.
        own: The file that was lowered from the program.
        cpu: The processor family of the target.
        quantized: The program.
        samples: What to feed both.
        foreign: Whether the file is of somebody else: it is then run in a process of its own.

    Raises:
        HiddenError: If the file shows nothing of what it computes inside.
        RunError: If ExecuTorch cannot run a copy of the file with more outputs.
    """
    source = quantized.captured.source
    mine = PteFile(own)
    file = mine if data == own else PteFile(data)
    rows = source.batch or at_once(quantized.captured)
    few = few_of(samples, source.batch, KEPT)
    offered = mine.offered()
    known = running(name, mine, [one.name for one in offered], cpu, source, rows=rows, foreign=False)
    pairs = paired(offered, known, quantized, few)
    alike = counterparts(mine.inner, file.inner, mine.kinds(), file.kinds())
    theirs = {value: one for value, one in alike.items() if value in pairs}
    if not theirs:
        raise HiddenError("no value of its delegate stands for one of the program's")
    module = quantized.program.module(check_guards=False)
    at = places(pairs, {value: one.offered for value, one in theirs.items()}, module.graph)
    run = running(name, file, [one.output for one in at], cpu, source, rows=rows, foreign=foreign)
    note = _note(len(at), len(pairs) - len(at), len(samples))
    observed = compare(module, at, run, quantized, samples, note)
    look = _Look(name=name, file=file, own=mine, pairs=pairs, alike=alike, places=at, quantized=quantized, few=few)
    if (seen := observed.first) is not None:
        return look.told(observed, seen, run)
    whole = plain(data, cpu, source, opened=file, foreign=foreign)
    fused = _fused(observed, run, whole, few)
    return Found(name=name, parting=fused, cut=None, alone=None, inner=None, note=note)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A .pte and what it is held against."""

    name: str
    file: PteFile
    own: PteFile
    pairs: Mapping[str, str]
    """The node for each value of the file lowered from the program."""
    alike: Mapping[str, Inner]
    """The file's value for each of these."""
    places: Sequence[Place]
    quantized: Quantized
    few: Samples

    def told(self, observed: Observed, seen: Seen, run: Run) -> Found:
        """Say what is known of the operation, and cut it out."""
        outputs = [spec.name for spec in self.quantized.captured.source.outputs]
        inner = self.file.ends[outputs.index(seen.name)] if seen.place is None else self.file.inner[seen.place.output]
        right = [one.output for one in self.places if one is not seen.place]
        cut, alone = self._cut(seen, inner, right, run)
        ours = since(seen.node if seen.place is None else seen.place.node, {one.node.name for one in self.places})
        lost = {node for value, node in self.pairs.items() if value not in self.alike}
        missing = [one for one in ours if one.name in lost]
        told = self._differences(inner, right)
        named, reason = ours, "; ".join(told.values())
        if told and not missing:  # of what one kernel computes, its activation or what comes before
            named = ours[-1:] if set(told) <= {"output_min", "output_max"} else ours[:1]
        if missing:
            names = ", ".join(graph.operation(one).rstrip("_") for one in missing)
            reason = f"the file has nothing that is told for its {names}"
        found = parting(seen, cut, named, reason)
        return Found(name=self.name, parting=found, cut=cut, alone=alone, inner=inner, note=observed.note)

    def _differences(self, inner: Inner | None, right: Sequence[str]) -> dict[str, str]:
        """Return in what the kernels that compute a value are others than those of the file lowered here."""
        if inner is None:
            return {}
        twins = {one.name: self.own.inner[value] for value, one in self.alike.items()}
        ends = zip(self.file.ends, self.own.ends, strict=False)
        twins |= {one.name: own for one, own in ends if one is not None and own is not None}
        behind = [one for one in self.file.behind(inner, right) if one.name in twins]
        if len(behind) == 1:
            return differences(self.own, twins[behind[0].name], self.file, behind[0])
        return {
            f"{one.name} {name}": f"of {one.name}, {said}"
            for one in behind
            for name, said in differences(self.own, twins[one.name], self.file, one).items()
        }

    def _cut(self, seen: Seen, inner: Inner | None, right: Sequence[str], run: Run) -> tuple[Cut, bytes | None]:
        source, module = self.quantized.captured.source, self.quantized.program.module(check_guards=False)
        computed = run(self.few)
        values = of_artifact(self.places, computed, walk(module, self.places, source, self.few, {}))
        led = walk(module, self.places, source, self.few, values)
        here = seen.place
        alone, inputs = None, {}
        if inner is not None:
            try:
                alone, taken = self.file.alone(inner, right)
                for name, one in taken.items():
                    if isinstance(one, str):
                        inputs[name] = self.file.inner[one].as_given(computed[one])
                    elif isinstance(one, int):
                        inputs[name] = self.few.array(source.inputs[one].name)
                    else:
                        inputs[name] = one
            except HiddenError:
                alone = None
        cut = Cut(
            value=seen.name if inner is None else inner.name,
            inputs=inputs,
            program=led.seen[seen.name if here is None else here.node.name],
            artifact=computed[seen.name].astype(np.float64) if here is None else values[here.node.name],
            spot=here if isinstance(here, Spot) else None,
        )
        return cut, alone


def _fused(observed: Observed, run: Run, whole: Run, few: Samples) -> Parting | None:
    """Say whether the file computes something else as soon as nobody looks into it."""
    tapped, untapped = run(few), whole(few)
    for seen in observed.seen:
        if seen.place is None:
            sums = Sums()
            first, second = (one[seen.name].astype(np.float64) for one in (tapped, untapped))
            sums.add(first, second, first)
            if sums.departs:
                apart = Seen(name=seen.name, node=seen.node, place=None, sums=sums)
                return parting(apart, _outputs(seen.name, first, second), [seen.node], _FUSED)
    return None


def _outputs(name: str, first: Array, second: Array) -> Cut:
    return Cut(value=name, inputs={}, program=first, artifact=second, spot=None)


def _note(count: int, missing: int, samples: int) -> str:
    seen = f"Seen at {count} values inside the delegate and at the outputs, on {samples} samples."
    return seen + (f" {missing} more have no counterpart in the file." if missing else "")

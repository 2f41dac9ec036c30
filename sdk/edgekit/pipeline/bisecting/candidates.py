"""One file held against the program of its format: inside, as far as its runtime shows it, or at its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import assert_never

import numpy as np

from edgekit.bundles.bisection import Compared, Parting
from edgekit.data.rows import Rows
from edgekit.data.trace import Trace
from edgekit.drift.compare import leg_of
from edgekit.drift.metrics import sqnr_db
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_quantized
from edgekit.execution.steady import shares_range
from edgekit.inspection import onnx as onnxfiles
from edgekit.inspection import pte as ptefiles
from edgekit.pipeline.bisecting import reproducer
from edgekit.pipeline.bisecting.against import Against, Candidate
from edgekit.pipeline.bisecting.floats import narrow_floats
from edgekit.pipeline.bisecting.inside import look_inside
from edgekit.pipeline.bisecting.narrow import narrow
from edgekit.pipeline.bisecting.onchip import NEXT_STEP, on_chip, opening
from edgekit.pipeline.bisecting.ptefile import HiddenError
from edgekit.pipeline.profiling.observing import TIPPED
from edgekit.pipeline.profiling.tapped import apart
from edgekit.spec import CPU_CHIP, STATIC_INT8, Format, Scheme

# Of the outputs alone it cannot be told what was rounded on the way. A file of somebody else that is so much further
# from the program than the one that was lowered from it, and as far as this, is another computation.
_FURTHER_DB, _FAR_DB = 10.0, 40.0

# Every value between the layers of these is rounded to steps from calibration.
_ROUNDED = STATIC_INT8 | {Scheme.W8A16}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is said of a file."""

    compared: Compared
    format: Format
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The reproducer; empty: there is none."""


def compared(one: Candidate, against: Against) -> Told:
    """Hold a file against the program.

    Raises:
        RunError: If the file is damaged, or its runtime cannot run it.
    """
    match one.format:
        case Format.ONNX:
            return _onnx(one, against)
        case Format.PTE if against.target.chip.name == CPU_CHIP:
            try:
                return _pte(one, against)
            except HiddenError as error:
                return _outputs(one, against, _by_runtime(one, against), str(error))
        case Format.PTE | Format.AIMODEL:
            return _outputs(one, against, *on_chip(against, _read(one)))
        case _:
            assert_never(one.format)


def _onnx(one: Candidate, against: Against) -> Told:
    data = _read(one)
    program, samples, cpu = against.program, against.samples, against.target.cpu
    opener, where = opening(against)
    allowed = TIPPED if opener is None else NEXT_STEP
    if opener is None and isinstance(one.source, Path):
        opener = apart(cpu, program.captured.source)
    if program.scheme in _ROUNDED:
        found = narrow(one.name, data, cpu, program, samples, opener=opener, allowed=allowed)
    else:
        single = shares_range(Format.ONNX, program.scheme)
        found = narrow_floats(one.name, data, against.own.data, cpu, program, samples, opener=opener, single=single)
    files = {} if found.parting is None else reproducer.files(found)
    said = Compared(artifact=one.name, parting=found.parting, inside=True, note=f"{where}{found.note}")
    return Told(compared=said, format=one.format, files=files)


def _pte(one: Candidate, against: Against) -> Told:
    data, own, cpu = _read(one), against.own.data, against.target.cpu
    foreign = isinstance(one.source, Path)
    found = look_inside(one.name, data, own, cpu, against.program, against.samples, foreign=foreign)
    said = Compared(artifact=one.name, parting=found.parting, inside=True, note=found.note)
    return Told(compared=said, format=one.format, files=reproducer.files_of_pte(found))


def _read(one: Candidate) -> bytes:
    """Return a file's bytes; one of somebody else is read in a process of its own first, so that damage is told."""
    if isinstance(one.source, bytes):
        return one.source
    if one.format is Format.ONNX:
        onnxfiles.inspect(one.source)
    else:
        ptefiles.inspect(one.source)
    return one.source.read_bytes()


def _by_runtime(one: Candidate, against: Against) -> Trace:
    source, cpu, samples = against.program.captured.source, against.target.cpu, against.samples
    opened = runs.open_artifact(one.format, one.source, cpu, source.inputs, source.outputs)
    batch, scheme = against.own.batch or source.batch or 1, against.program.scheme
    return runs.trace(opened, cpu, samples, batch=batch, model=source.weights_sha256, scheme=scheme)


def _outputs(one: Candidate, against: Against, trace: Trace, why: str) -> Told:
    """Compare the outputs alone: they part where the budget of the lowering says so.

    Args:
        one: The file.
        against: What it is held against.
        trace: What it gave for the samples, or for the first of them.
        why: Why nothing else is compared.
    """
    source, job, samples = against.program.captured.source, against.job, trace.samples
    right = run_quantized(against.program, samples)
    own: Mapping[str, Rows] = trace.outputs
    if isinstance(one.source, Path):
        mine = replace(one, source=against.own.data)
        lowered = _by_runtime(mine, against) if against.target.chip.name == CPU_CHIP else on_chip(against)[0]
        own = lowered.first(len(samples)).outputs
    budget = against.target.budget.updated(job.budget)
    legs = leg_of(budget, "lowering", right, trace, source.outputs, artifact=one.name, own=job.own_metrics)
    parting = None
    said = []
    for spec, leg in zip(source.outputs, legs, strict=True):
        array = right.outputs[spec.name]
        ratio, best = sqnr_db(array, trace.outputs[spec.name]), sqnr_db(array, own[spec.name])
        said.append(f"{spec.name} {'identical' if ratio is None else f'at {ratio:.1f} dB'}")
        further = ratio is not None and ratio < min(_FAR_DB, _FAR_DB if best is None else best - _FURTHER_DB)
        if parting is None and (leg.breaches or further):
            reason = (
                f"{leg.breaches[0].name} of the lowering's budget is broken"
                if leg.breaches
                else "the bundle's own file is nearer to the program"
            )
            parting = _at_output(spec.name, ratio, array, trace.outputs[spec.name], reason)
    note = f"{why}: the outputs alone are compared, {', '.join(said)} on {len(samples)} samples."
    return Told(compared=Compared(artifact=one.name, parting=parting, inside=False, note=note), format=one.format)


def _at_output(name: str, ratio: float | None, right: Rows, wrong: Rows, reason: str) -> Parting:
    whole = slice(None)
    apart = float(np.abs(right[whole].astype(np.float64) - wrong[whole].astype(np.float64)).max(initial=0.0))
    return Parting(
        operation="output",
        name=name,
        path="",
        line="",
        value=name,
        sqnr_db=ratio,
        largest=apart,
        largest_steps=None,
        differing=None,
        worst=None,
        reason=reason,
    )

"""The references that artifacts are held against, and the legs between them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.base.memory import Memory
from edgekit.base.progress import Stages
from edgekit.data.rows import Rows, chunks
from edgekit.data.trace import Trace
from edgekit.drift.compare import leg_of
from edgekit.drift.metrics import is_counted, sqnr_db
from edgekit.drift.report import DriftReport, Leg, LegName
from edgekit.errors import DataError, EdgeKitError, LowerError
from edgekit.execution import onnx
from edgekit.execution.calls import execute
from edgekit.execution.eager import run_float
from edgekit.model.capture import capture
from edgekit.model.program import Captured, Quantized, Source
from edgekit.model.together import fitting, together
from edgekit.pipeline import soundness
from edgekit.pipeline.job import Job
from edgekit.pipeline.keep import Keep
from edgekit.spec import Cpu, Format, Target

# Float ONNX differs from eager by rounding alone, at 100 dB and more; less than this is another computation.
_FLOAT_ONNX_DB = 60.0
_FLOAT_ONNX_EQUAL = 0.99
_WRONG_GRAPH = (
    'torch.onnx writes a wrong graph for some operation; leave "onnx" out of the target\'s formats or rewrite the '
    "operation."
)


@dataclass(frozen=True, kw_only=True)
class References:
    """The baseline, and the float and the quantized programs on this host, all on the evaluation samples."""

    baseline: Trace
    host: Trace
    quantized: Mapping[str, Trace]
    """The program that each artifact was lowered from, by the artifact's file name."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What every artifact of a job goes back to: the captured program and the float answers."""

    captured: Captured
    baseline: Trace
    host: Trace
    notes: tuple[str, ...]
    refused: Mapping[Format, EdgeKitError] = field(default_factory=dict)
    """Formats that are known to fail, and why."""

    def references(self, programs: Mapping[str, tuple[Quantized, Trace]], *, more: tuple[str, ...] = ()) -> References:
        """Return what artifacts are held against.

        Args:
            programs: The program that each artifact was lowered from, and its answers, by the artifact's file name.
            more: What a reader must know beside.
        """
        notes = dict.fromkeys(note for program, _ in programs.values() for note in program.notes)
        return References(
            baseline=self.baseline,
            host=self.host,
            quantized={file: answers for file, (_, answers) in programs.items()},
            notes=(*self.notes, *more, *notes),
        )


def ground(job: Job, stages: Stages, keep: Keep) -> Ground:
    """Capture the model of a job and run it in float.

    Raises:
        EdgeKitError: A subclass for the stage that failed.
    """
    with stages("capture") as detail:
        with keep.capturing(job.source, job.calibration):
            captured = capture(job.source, job.calibration, job.memory)
        detail.append(f"{job.source.name}, {job.source.parameters:,} parameters")
    with stages("reference") as detail:
        found = float_answers(job, captured)
        detail.append(f"{len(found.host)} samples, baseline from {found.baseline.origin.place}")
    keep.captured(captured)
    keep.trace("reference", found.host)
    return found


def float_answers(job: Job, captured: Captured) -> Ground:
    """Run the float model of a job on this host, and look up its baseline.

    Raises:
        SourceError: If the model fails, or gives values that are not finite.
        DataError: If the baseline was recorded with other weights or for other samples.
    """
    each = job.source.batch or 1
    most = captured.rows // each * each if captured.any_batch else each * fitting(captured.program, job.memory.batch)
    batch = min(together(job.source, job.evaluation, job.memory), max(each, most))
    host = run_float(job.source, job.evaluation, batch=batch, memory=job.memory)
    baseline, notes = reference(job, host)
    notes = (*captured.source.notes, *soundness.doubts(job.source, host), *notes)
    return Ground(captured=captured, baseline=baseline, host=host, notes=notes)


def reference(job: Job, host: Trace) -> tuple[Trace, tuple[str, ...]]:
    """Return the baseline to compare with, and what a reader must know about it.

    Args:
        job: The job, with a recorded baseline or none.
        host: The float model's trace on this host, which takes the place of a missing baseline.

    Raises:
        DataError: If the baseline was recorded with other weights or for other samples.
    """
    if job.baseline is None:
        note = f"No baseline was recorded: the float model on this host ({host.origin.place}) stands in for the server."
        return host, (*job.notes, note)
    recorded = job.baseline.origin
    faults = []
    if recorded.model != job.source.weights_sha256:
        faults.append("its weights are not the project's")
    if job.baseline.samples.digest != job.evaluation.digest:
        faults.append("its samples are not the evaluation data")
    if faults:
        raise DataError(
            f"The baseline does not belong to this model: {' and '.join(faults)}.",
            hint="Record it again: edgekit baseline record",
        )
    if recorded.device == "cpu":
        note = f"The baseline was recorded on a CPU, not on a GPU server: {recorded.place}."
        return job.baseline, (*job.notes, note)
    return job.baseline, job.notes


def check_float_onnx(data: bytes, source: Source, host: Trace, memory: Memory) -> str:
    """Run the float ONNX and hold it against eager, so that the quantizer is not blamed for the exporter.

    Args:
        data: The exported float model.
        source: The model.
        host: The float model's trace in eager mode.
        memory: Bounds what is held of the outputs.

    Returns:
        What was found, in a few words.

    Raises:
        LowerError: If the two compute different things.
    """
    session = onnx.load(data, Cpu.X86_64)
    batch = source.batch or together(source, host.samples, memory)
    call = functools.partial(onnx.call, session, source.inputs, source.outputs)
    outputs = execute(call, host.samples, source.inputs, batch=batch, memory=memory)
    _check_counted(source, {name: (host.outputs[name], array) for name, array in outputs.items()})
    ratios = {name: sqnr_db(host.outputs[name], array) for name, array in outputs.items() if not is_counted(array)}
    for name, ratio in ratios.items():
        if ratio is not None and not ratio >= _FLOAT_ONNX_DB:  # also true for NaN
            raise LowerError(
                f"The float ONNX of {source.name} computes something else than the model: {name} at {ratio:.1f} dB.",
                hint=_WRONG_GRAPH,
            )
    worst = min((ratio for ratio in ratios.values() if ratio is not None), default=None)
    return "identical to eager" if worst is None else f"{worst:.0f} dB from eager"


def _check_counted(source: Source, pairs: Mapping[str, tuple[Rows, Rows]]) -> None:
    """Hold integers of the float ONNX against eager's: rounding decides only between two that are almost equal."""
    for name, (ours, theirs) in pairs.items():
        if not is_counted(theirs):
            continue
        equal = sum(int((part == theirs[rows]).sum()) for rows, part in chunks(ours)) / ours.size
        if equal < _FLOAT_ONNX_EQUAL:
            raise LowerError(
                f"The float ONNX of {source.name} computes something else than the model: {name} is equal in "
                f"{100 * equal:.1f} %.",
                hint=_WRONG_GRAPH,
            )


def drift_report(job: Job, target: Target, references: References, artifacts: Mapping[str, Trace]) -> DriftReport:
    """Measure every leg of one target.

    Args:
        job: The job, for its outputs and budget.
        target: The target, for its budget.
        references: What the artifacts are held against.
        artifacts: The artifacts' traces by file name.
    """
    outputs, budget = job.source.outputs, target.budget.updated(job.budget)
    baseline, host, programs = references.baseline, references.host, references.quantized
    measured = functools.partial(leg_of, budget, outputs=outputs, own=job.own_metrics)
    legs: list[Leg] = list(measured("server", baseline, host))
    schemes = {program.origin.dtype for program in programs.values()}
    for file, program in programs.items() if len(schemes) > 1 else [(None, next(iter(programs.values())))]:
        legs += measured("quantization", host, program, artifact=file)
    for file, trace in artifacts.items():
        if trace is not programs[file]:  # of a file that nothing runs here, its program stands in
            legs += _of_first(measured, "lowering", programs[file], trace, file)
    for file, trace in artifacts.items():
        legs += _of_first(measured, "total", baseline, trace, file)
    return DriftReport(
        samples=len(baseline),
        samples_sha256=baseline.samples.digest,
        bootstrap=budget.bootstrap,
        legs=tuple(legs),
        notes=references.notes,
    )


def _of_first(
    measured: "functools.partial[tuple[Leg, ...]]", name: LegName, reference: Trace, trace: Trace, file: str
) -> tuple[Leg, ...]:
    """Measure a leg on the samples that an artifact was run on: a simulation may have no time for all."""
    count = len(trace)
    legs = measured(name, reference.first(count), trace, artifact=file)
    return legs if count == len(reference) else tuple(one.model_copy(update={"samples": count}) for one in legs)

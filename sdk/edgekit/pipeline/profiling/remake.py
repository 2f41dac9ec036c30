"""The stages of a build once more, up to the artifacts of a bundle, so that what is profiled is what was built."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit import chips
from edgekit.base.cache import Cache
from edgekit.base.progress import Stages
from edgekit.base.versions import installed
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.data.trace import Trace
from edgekit.drift.report import DriftReport
from edgekit.errors import ProjectError, TargetError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_quantized
from edgekit.model.artifact import Artifact
from edgekit.model.program import Captured, Quantized
from edgekit.pipeline.job import Job
from edgekit.pipeline.keep import Keep
from edgekit.pipeline.legs import References, drift_report, ground
from edgekit.quantization import quantize
from edgekit.quantization.simulate import Simulation, simulate
from edgekit.quantization.simulate import program as program_of
from edgekit.spec import CPU_PLACING, STATIC_INT8, Format, Placing, QuantSpec, Scheme, Target

_HINT = "Build the bundle again, or check out what it was built from."


@dataclass(frozen=True, kw_only=True)
class Remade:
    """A model captured, quantized, lowered and run as it was for its bundle."""

    captured: Captured
    programs: Mapping[Format, Quantized]
    """The quantized program that each format was lowered from."""
    references: References
    artifacts: tuple[Artifact, ...]
    traces: Mapping[str, Trace]
    """The artifacts' answers to the evaluation samples, by file name."""
    report: DriftReport
    simulation: Simulation | None
    """Of the static int8 program, if there is one."""


def check_owner(job: Job, manifest: Manifest, folder: Path) -> None:
    """Make sure that a bundle is of a project's model, before the work that would show it.

    Raises:
        ProjectError: If it is of another model, or of other weights.
    """
    if manifest.model.name != job.source.name:
        raise ProjectError(
            f"{folder} is a bundle of {manifest.model.name}, and the project makes {job.source.name}.",
            hint="Name the project's folder with --project.",
        )
    if manifest.model.weights_sha256 != job.source.weights_sha256:
        raise ProjectError(f"The project's weights have changed since {folder} was built.", hint=_HINT)


def check_chip(target: Target) -> None:
    """Make sure that a target's program is one that is simulated layer by layer: as a CPU computes it.

    Raises:
        TargetError: If its chip rounds otherwise.
    """
    chip = chips.of_target(target)
    if chip.placing != CPU_PLACING:
        raise TargetError(
            f"{target.name} is for {chip.title}, which rounds other values than a CPU: its layers cannot be profiled.",
            hint="Its drift and its chip's figures are in the bundle's report. To see which layers cost most, profile "
            "a bundle of the same project for a CPU.",
        )


def settings(job: Job, manifest: Manifest) -> QuantSpec:
    """Return the settings that the bundle was made with: those of the project, and the layers that fallback kept."""
    return job.quantization.model_copy(update={"float_layers": manifest.float_layers})


@dataclass(frozen=True, kw_only=True)
class Requantized:
    """A model quantized as it was for its bundle."""

    quantized: Mapping[Scheme, Quantized]
    programs: Mapping[Format, Quantized]
    """The program that each format is lowered from."""
    simulation: Simulation | None


def requantize(
    job: Job, manifest: Manifest, captured: Captured, stages: Stages, placing: Placing = CPU_PLACING
) -> Requantized:
    """Quantize a model again as its bundle's manifest says.

    Args:
        job: The project's model and data.
        manifest: The bundle's.
        captured: The captured program.
        stages: Told about the stage.
        placing: What the bundle's chip wants rounded; of a CPU's programs alone there is a simulation.

    Raises:
        QuantizeError: If that fails.
    """
    schemes = {info.format: info.quantization for info in manifest.artifacts}
    simulation = None
    with stages("quantize") as detail:
        kinds = dict.fromkeys(schemes.values())
        quantized = {}
        for kind in kinds:
            if job.trained is not None:
                quantized[kind] = job.trained.for_build(captured, kind, placing, manifest.float_layers)
            elif kind in STATIC_INT8 and placing == CPU_PLACING:  # calibrated once for both
                simulation = simulate(captured, settings(job, manifest), job.calibration)
                quantized[kind] = program_of(simulation)
            else:
                quantized[kind] = quantize(captured, kind, settings(job, manifest), job.calibration, placing)
        detail += kinds
    programs = {format: quantized[kind] for format, kind in schemes.items()}
    return Requantized(quantized=quantized, programs=programs, simulation=simulation)


def relower(
    made: Requantized, manifest: Manifest, target: Target, stages: Stages, cache: Cache | None
) -> tuple[Artifact, ...]:
    """Lower the programs again.

    Raises:
        ProjectError: If other artifacts come out than the bundle holds.
        LowerError: If that fails.
    """
    artifacts = []
    with stages("lower") as detail:
        for info in manifest.artifacts:
            program = made.programs[info.format]
            artifact, detail.cached = chips.of_target(target).lower(info.format, target, program, cache)
            _check_same(artifact, info, manifest)
            artifacts.append(artifact)
    return tuple(artifacts)


def remake(job: Job, manifest: Manifest, target: Target, stages: Stages, cache: Cache | None) -> Remade:
    """Capture, quantize, lower and run the model again.

    Args:
        job: The project's model and data.
        manifest: The bundle's.
        target: The bundle's target.
        stages: Told about every stage.
        cache: Where lowered artifacts are kept.

    Raises:
        ProjectError: If other artifacts come out than the bundle holds.
        EdgeKitError: A subclass for the stage that failed.
    """
    start = ground(job, stages, Keep(folder=None))
    made = requantize(job, manifest, start.captured, stages)
    quantized, simulation = made.quantized, made.simulation
    with stages("run quantized program"):
        answers = {kind: run_quantized(program, job.evaluation) for kind, program in quantized.items()}
    artifacts = relower(made, manifest, target, stages, cache)
    with stages("run artifacts") as detail:
        references = start.references(
            {info.file: (quantized[info.quantization], answers[info.quantization]) for info in manifest.artifacts}
        )
        traces = {}
        for one, info in zip(artifacts, manifest.artifacts, strict=True):
            sizes = info.verified_batches
            _, traces[info.file] = runs.answers(
                one, job.source, job.evaluation, cpu=target.cpu, sizes=sizes, memory=job.memory
            )
        report = drift_report(job, target, references, traces)
        detail.append(f"{len(job.evaluation)} samples")
    return Remade(
        captured=start.captured,
        programs=made.programs,
        references=references,
        artifacts=artifacts,
        traces=traces,
        report=report,
        simulation=simulation,
    )


def _check_same(artifact: Artifact, info: ArtifactInfo, manifest: Manifest) -> None:
    if artifact.sha256 == info.sha256:
        return
    now = installed(*manifest.producer)
    changed = [f"{name} {was} to {now[name]}" for name, was in manifest.producer.items() if now.get(name, was) != was]
    what = f"libraries have: {', '.join(changed)}" if changed else "settings or data have, or its code"
    raise ProjectError(
        f"The project has changed since the bundle was built: {info.file} comes out otherwise. Its {what}.", hint=_HINT
    )

"""The main job on one page: capture -> quantize -> lower -> run -> compare -> bundle."""

import functools
from pathlib import Path

from edgekit import __version__, bundles, lowering
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import installed
from edgekit.bundles.golden import golden_vectors
from edgekit.bundles.manifest import MANIFEST_VERSION, Manifest, Model, TargetInfo
from edgekit.bundles.result import BuildResult, Built
from edgekit.data.trace import Trace
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_quantized
from edgekit.model.artifact import Artifact
from edgekit.model.layers import FallbackReport
from edgekit.model.program import Quantized, Source
from edgekit.pipeline.fallback import Attempt, settle, suspects
from edgekit.pipeline.job import Job
from edgekit.pipeline.legs import check_float_onnx, drift_report, ground
from edgekit.quantization import quantize
from edgekit.render.page import build as page
from edgekit.spec import Fallback, Format, Scheme, Target, postprocessing
from edgekit.spec.schemes import calibrated, of_target
from edgekit.targets.runtimes import check

_BATCHES = (1, 16, 64)
_PRODUCERS = ("torch", "torchao", "executorch", "onnx", "onnxruntime", "onnxscript", "numpy", "flatbuffers")


def build_job(
    job: Job, targets: tuple[Target, ...], output: Path, progress: Progress, cache: Cache | None = None
) -> BuildResult:
    """Build one bundle per target at ``output / model / target``.

    Capture and quantization are shared between targets, and so are artifacts that come out the same.

    Args:
        job: The model with its data and demands.
        targets: What to build for.
        output: Folder of the bundles.
        progress: Told about every stage.
        cache: Where lowered artifacts are kept; None lowers always.

    Raises:
        EdgeKitError: A subclass for the stage that failed; bundles that were there before stay as they were.
    """
    stages = Stages(progress)
    source = job.source
    schemes = {target.name: of_target(target, job.quantization) for target in targets}
    for target in targets:
        bundles.check_place(output / source.name / target.name)
    start = ground(job, stages)
    if any(Format.ONNX in target.formats for target in targets):
        with stages("check float onnx") as detail:
            exported, kept = lowering.export_float(start.captured, cache)
            detail.append(check_float_onnx(exported, source, start.host) + (", export from the cache" if kept else ""))

    quantized: dict[tuple[Scheme, tuple[str, ...]], tuple[Quantized, Trace]] = {}
    lowered: dict[tuple[str, tuple[str, ...]], Artifact] = {}

    def program_of(scheme: Scheme, float_layers: tuple[str, ...], again: str) -> tuple[Quantized, Trace]:
        if (scheme, float_layers) not in quantized:
            spec = job.quantization.model_copy(update={"float_layers": float_layers})
            with stages(f"quantize {scheme}{again}") as detail:
                program = quantize(start.captured, scheme, spec, job.calibration)
                detail += [calibrated(scheme, len(job.calibration)), *program.notes]
            with stages(f"run {program.scheme} program{again}") as detail:
                quantized[scheme, float_layers] = program, run_quantized(program, job.evaluation)
                detail.append(f"{len(job.evaluation)} samples")
        return quantized[scheme, float_layers]

    def attempt(target: Target, float_layers: tuple[str, ...], number: int = 1) -> Attempt:
        again = f", attempt {number}" if number > 1 else ""
        found = {format: program_of(scheme, float_layers, again) for format, scheme in schemes[target.name].items()}
        artifacts = []
        for format, (program, _) in found.items():
            key = lowering.name(format, target, program.scheme)
            if (key, float_layers) not in lowered:
                with stages(f"lower {key}{again}") as detail:
                    lowered[key, float_layers], detail.cached = lowering.lower(format, target, program, cache)
                    detail.append(f"{len(lowered[key, float_layers].data) / 1000:.1f} kB")
            artifacts.append(lowered[key, float_layers])
        lacking = tuple(note for artifact in artifacts for note in _compatible(artifact, target))
        references = start.references({f"model.{format}": pair for format, pair in found.items()}, more=lacking)
        with stages(f"verify {target.name}{again}") as detail:
            traces = {artifact.file: _verify(artifact, target, job) for artifact in artifacts}
            report = drift_report(job, target, references, traces)
            detail.append(f"batches {', '.join(map(str, _batches(source)))}")
        programs = {format: program for format, (program, _) in found.items()}
        return Attempt(
            programs=programs, references=references, artifacts=tuple(artifacts), traces=traces, report=report
        )

    known = functools.cache(lambda: suspects(job, start.captured))
    finished = []
    for target in targets:
        made, report = attempt(target, job.quantization.float_layers), None
        if job.quantization.fallback is Fallback.AUTO:
            made, report = settle(job, target, made, functools.partial(attempt, target), known, stages)
        with stages(f"bundle {target.name}") as detail:
            folder = output / source.name / target.name
            finished.append(_bundle(job, target, made, report, folder))
            detail.append(str(folder))
    return BuildResult(bundles=tuple(finished), seconds=tuple(stages.seconds), cached=tuple(stages.cached))


def _batches(source: Source) -> tuple[int, ...]:
    """Batch sizes to verify: those of the usual three that the model's dimensions allow."""
    return tuple(size for size in _BATCHES if size <= source.most) if source.batch is None else (source.batch,)


def _compatible(artifact: Artifact, target: Target) -> tuple[str, ...]:
    """Hold what an artifact needs against the runtimes that the app pins, and return what nobody knows."""
    found = check.examine(
        artifact.file,
        artifact.format,
        operators=artifact.operators,
        delegates=artifact.delegates,
        pins=target.runtimes,
        not_delegated=artifact.not_delegated,
        data=artifact.data,
    )
    return check.require(found)


def _verify(artifact: Artifact, target: Target, job: Job) -> Trace:
    sizes = _batches(job.source)
    opened, whole = runs.answers(artifact, job.source, job.evaluation, cpu=target.cpu, sizes=sizes)
    runs.verify_batches(opened, whole, sizes)
    return whole


def _bundle(job: Job, target: Target, made: Attempt, fallback: FallbackReport | None, folder: Path) -> Built:
    source, report = job.source, made.report
    golden, files = golden_vectors(made.references.baseline, made.traces)
    infos = tuple(
        bundles.describe(
            artifact,
            limit=target.size,
            weight_bytes=made.programs[artifact.format].weight_bytes,
            batches=_batches(source),
            pins=target.runtimes,
        )
        for artifact in made.artifacts
    )
    manifest = Manifest(
        schema_version=MANIFEST_VERSION,
        model=Model(
            name=source.name,
            weights_sha256=source.weights_sha256,
            parameters=source.parameters,
            float_bytes=source.float_bytes,
        ),
        target=TargetInfo(name=target.name, platform=target.platform, cpu=target.cpu, runtimes=target.runtimes),
        artifacts=infos,
        inputs=source.inputs,
        outputs=source.outputs,
        dimensions={name: size.max for name, size in source.dimensions.items()},
        ranges=dict(source.dimensions),
        preprocessing=job.preprocessing,
        postprocessing=postprocessing(source.outputs),
        labels=job.labels,
        golden=golden,
        baseline=made.references.baseline.origin.place,
        float_layers=tuple(dict.fromkeys(path for one in made.programs.values() for path in one.float_layers)),
        fallback=fallback,
        drift=report,
        budget=target.budget.updated(job.budget),
        verdict="passed" if report.within_budget and all(info.within_size for info in infos) else "failed",
        producer={"edgekit": __version__, **installed(*_PRODUCERS)},
    )
    content = bundles.contents(manifest, made.artifacts, files, page.of_bundle(manifest))
    bundles.write(folder, content)
    return Built(folder=folder, manifest=manifest, files=content)

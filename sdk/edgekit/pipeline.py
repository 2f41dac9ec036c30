"""The main job on one page: capture -> quantize -> lower -> run -> compare -> bundle."""

from collections.abc import Mapping
from pathlib import Path

from edgekit import bundle, lowering
from edgekit.artifact import Artifact
from edgekit.cache import Cache
from edgekit.capture import capture
from edgekit.drift.report import DriftReport
from edgekit.golden import golden_vectors
from edgekit.job import Job
from edgekit.legs import References, check_float_onnx, drift_report, reference
from edgekit.manifest import MANIFEST_VERSION, Manifest, Model, TargetInfo
from edgekit.program import Quantized, Source
from edgekit.progress import Progress, Stages
from edgekit.quantize import quantize
from edgekit.result import BuildResult, Built
from edgekit.run import artifact as runs
from edgekit.run.eager import run_float, run_quantized
from edgekit.schemes import calibrated, of_target
from edgekit.spec import Format, Scheme, Target, postprocessing
from edgekit.trace import Trace
from edgekit.version import __version__
from edgekit.versions import installed

_BATCHES = (1, 16, 64)
_PRODUCERS = ("torch", "torchao", "executorch", "onnx", "onnxruntime", "onnxscript", "numpy", "flatbuffers")


def build(
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
        bundle.check_place(output / source.name / target.name)
    with stages("capture") as detail:
        captured = capture(source, job.calibration)
        detail.append(f"{source.name}, {source.parameters:,} parameters")
    with stages("reference") as detail:
        host = run_float(source, job.evaluation)
        baseline, notes = reference(job, host)
        detail.append(f"{len(host)} samples, baseline from {baseline.origin.place}")
    if any(Format.ONNX in target.formats for target in targets):
        with stages("check float onnx") as detail:
            exported, kept = lowering.export_float(captured, cache)
            detail.append(check_float_onnx(exported, source, host) + (", export from the cache" if kept else ""))

    quantized: dict[Scheme, Quantized] = {}
    simulated: dict[Scheme, Trace] = {}
    for scheme in dict.fromkeys(scheme for each in schemes.values() for scheme in each.values()):
        with stages(f"quantize {scheme}") as detail:
            quantized[scheme] = quantize(captured, scheme, job.quantization, job.calibration)
            detail += [calibrated(scheme, len(job.calibration)), *quantized[scheme].notes]
        with stages(f"run {scheme} program") as detail:
            simulated[scheme] = run_quantized(quantized[scheme], job.evaluation)
            detail.append(f"{len(job.evaluation)} samples")

    lowered: dict[str, Artifact] = {}
    bundles = []
    for target in targets:
        programs = {format: quantized[scheme] for format, scheme in schemes[target.name].items()}
        for format, program in programs.items():
            key = lowering.name(format, target, program.scheme)
            if key not in lowered:
                with stages(f"lower {key}") as detail:
                    lowered[key], detail.cached = lowering.lower(format, target, program, cache)
                    detail.append(f"{len(lowered[key].data) / 1000:.1f} kB")
        artifacts = tuple(
            lowered[lowering.name(format, target, program.scheme)] for format, program in programs.items()
        )
        references = References(
            baseline=baseline,
            host=host,
            quantized={f"model.{format}": simulated[program.scheme] for format, program in programs.items()},
            notes=(*notes, *dict.fromkeys(note for program in programs.values() for note in program.notes)),
        )
        with stages(f"verify {target.name}") as detail:
            traces = {artifact.file: _verify(artifact, target, job) for artifact in artifacts}
            report = drift_report(job, target, references, traces)
            detail.append(f"batches {', '.join(map(str, _batches(source)))}")
        with stages(f"bundle {target.name}") as detail:
            folder = output / source.name / target.name
            bundles.append(_bundle(job, target, programs, artifacts, traces, references, report, folder))
            detail.append(str(folder))
    return BuildResult(bundles=tuple(bundles), seconds=tuple(stages.seconds), cached=tuple(stages.cached))


def _batches(source: Source) -> tuple[int, ...]:
    """Batch sizes to verify: those of the usual three that the model's dimensions allow."""
    if not any(isinstance(size, str) for spec in source.inputs for size in spec.shape[:1]):
        return (int(source.inputs[0].shape[0]),)
    return tuple(size for size in _BATCHES if size <= min(source.dimensions.values()))


def _verify(artifact: Artifact, target: Target, job: Job) -> Trace:
    source = job.source
    opened = runs.open_artifact(artifact.format, artifact.data, target.cpu, source.inputs, source.outputs)
    sizes = _batches(source)
    batch = runs.steady_batch(artifact.format, artifact.scheme, sizes)
    model = source.weights_sha256
    whole = runs.trace(opened, target.cpu, job.evaluation, batch=batch, model=model, scheme=artifact.scheme)
    runs.verify_batches(opened, whole, sizes)
    return whole


def _bundle(
    job: Job,
    target: Target,
    programs: Mapping[Format, Quantized],
    artifacts: tuple[Artifact, ...],
    traces: dict[str, Trace],
    references: References,
    report: DriftReport,
    folder: Path,
) -> Built:
    source = job.source
    golden, files = golden_vectors(references.baseline, traces)
    infos = tuple(
        bundle.describe(
            artifact,
            limit=target.size,
            weight_bytes=programs[artifact.format].weight_bytes,
            batches=_batches(source),
        )
        for artifact in artifacts
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
        dimensions=dict(source.dimensions),
        preprocessing=job.preprocessing,
        postprocessing=postprocessing(source.outputs),
        labels=job.labels,
        golden=golden,
        baseline=references.baseline.origin.place,
        drift=report,
        budget=target.budget.updated(job.budget),
        verdict="passed" if report.within_budget and all(info.within_size for info in infos) else "failed",
        producer={"edgekit": __version__, **installed(*_PRODUCERS)},
    )
    content = bundle.contents(manifest, artifacts, files)
    bundle.write(folder, content)
    return Built(folder=folder, manifest=manifest, files=content)

"""Assemble a bundle of what one attempt made, and write it."""

from pathlib import Path

from edgekit import __version__, bundles
from edgekit.base import digest
from edgekit.base.versions import installed
from edgekit.bundles.golden import golden_vectors
from edgekit.bundles.manifest import MANIFEST_VERSION, Manifest, Model, TargetInfo, Tokenizer
from edgekit.bundles.result import Built
from edgekit.data import texts
from edgekit.model.draw import draw
from edgekit.model.layers import FallbackReport
from edgekit.pipeline.attempt import Attempt
from edgekit.pipeline.job import Job
from edgekit.render.page import build as page
from edgekit.spec import Target, postprocessing

_TOKENIZER = "tokenizer.json"
_PRODUCERS = ("torch", "torchao", "executorch", "onnx", "onnxruntime", "onnxscript", "numpy", "flatbuffers")


def assemble(job: Job, target: Target, attempt: Attempt, fallback: FallbackReport | None, folder: Path) -> Built:
    """Write the bundle of an attempt to a folder, in one step.

    Args:
        job: The model with its data and demands.
        target: What it was built for.
        attempt: The artifacts with their traces and drift.
        fallback: What was kept in float to keep the budget, if that was asked for and needed.
        folder: The bundle's folder.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    source, report = job.source, attempt.report
    tokenizer = b"" if job.text is None else texts.content_of(job.text)
    count = min(map(len, attempt.traces.values()))  # a simulation may have had no time for all
    golden, files = golden_vectors(
        attempt.references.baseline.first(count),
        {file: trace.first(count) for file, trace in attempt.traces.items()},
        [spec.name for spec in job.source.outputs if not spec.is_counted],
    )
    infos = tuple(
        bundles.describe(
            artifact,
            limit=target.size,
            weight_bytes=attempt.programs[artifact.format].weight_bytes,
            batches=attempt.tried[artifact.file].batches,
            pins=target.runtimes,
            on_chip=attempt.tried[artifact.file].on_chip,
        )
        for artifact in attempt.artifacts
    )
    good = report.within_budget and all(info.within_size for info in infos) and not attempt.refused
    manifest = Manifest(
        schema_version=MANIFEST_VERSION,
        model=Model(
            name=source.name,
            weights_sha256=source.weights_sha256,
            parameters=source.parameters,
            float_bytes=source.float_bytes,
        ),
        target=TargetInfo(
            name=target.name,
            platform=target.platform,
            cpu=target.cpu,
            runtimes=target.runtimes,
            chip=target.chip.name,
            socs=target.chip.socs,
            chip_options=target.chip.options,
        ),
        artifacts=infos,
        refused=attempt.refused,
        inputs=source.inputs,
        outputs=source.outputs,
        dimensions={name: size.max for name, size in source.dimensions.items()},
        ranges={name: size.told for name, size in source.dimensions.items()},
        preprocessing=job.preprocessing,
        audio=source.audio,
        text=None if job.text is None else _described(job.text, tokenizer),
        postprocessing=postprocessing(source.outputs),
        labels=job.labels,
        golden=golden,
        baseline=attempt.references.baseline.origin.place,
        float_layers=tuple(dict.fromkeys(path for one in attempt.programs.values() for path in one.float_layers)),
        fallback=fallback,
        drift=report,
        budget=target.budget.updated(job.budget),
        verdict="passed" if good else "failed",
        producer={"edgekit": __version__, **installed(*_PRODUCERS)},
    )
    drawing = draw(next(iter(attempt.programs.values())).captured.program)
    compiled = {file: data for tried in attempt.tried.values() for file, data in tried.files.items()}
    shown = page.of_bundle(manifest, drawing=drawing)
    content = bundles.contents(manifest, attempt.artifacts, files, shown, tokenizer, compiled, drawing)
    bundles.write(folder, content)
    return Built(folder=folder, manifest=manifest, files=content)


def _described(steps: texts.TextSteps, content: bytes) -> Tokenizer:
    return Tokenizer(
        file=_TOKENIZER,
        sha256=digest.of_bytes(content),
        bytes=len(content),
        length=steps.length,
        inputs=dict(steps.parts),
    )

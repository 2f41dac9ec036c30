"""The verbs that take a bundle, as functions: of its folder, or of what a build handed back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

from edgekit.apps import drop as drops
from edgekit.apps.board.address import parse
from edgekit.apps.values import Dropped
from edgekit.base import cache as caches
from edgekit.base.progress import Progress
from edgekit.bundles import profile as profiles
from edgekit.bundles.changes import BundleComparison
from edgekit.bundles.compare import compare_builds, read_side
from edgekit.bundles.result import BuildResult, Built
from edgekit.bundles.verified import BOARD_FILE, EMULATED_FILE
from edgekit.bundles.verified import Verified as OnKernels
from edgekit.data import trace
from edgekit.drift.report import DriftReport
from edgekit.errors import ProjectError
from edgekit.inspection import Inspection, inspect_file
from edgekit.inspection.predict import Prediction, predict
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.model.source.given import Data
from edgekit.pipeline import emulate as emulation
from edgekit.pipeline import job, stages
from edgekit.pipeline.comparison import compare_path
from edgekit.pipeline.job import Metric
from edgekit.pipeline.measured import add
from edgekit.pipeline.profiling import measure
from edgekit.render.telling import telling
from edgekit.spec import Budget, Format, arguments
from edgekit.spec.find import find

Bundle = str | Path | Built | BuildResult
"""A bundle's folder, a bundle that was built, or a build of one target."""


def folder_of(bundle: Bundle) -> Path:
    """Return the folder of a bundle.

    Raises:
        ProjectError: If a build has several bundles, or none.
    """
    if isinstance(bundle, BuildResult):
        if len(bundle.bundles) != 1:
            names = ", ".join(one.manifest.target.name for one in bundle.bundles) or "none"
            raise ProjectError(
                f"The build has {len(bundle.bundles)} bundles ({names}), and one is needed.",
                hint="Take one of result.bundles.",
            )
        return bundle.bundles[0].folder
    return bundle.folder if isinstance(bundle, Built) else Path(arguments.typed("bundle", bundle, str | Path, "a path"))


def profile(
    bundle: Bundle,
    *,
    project: str | Path | None = None,
    target: str | Path | None = None,
    cache: bool = True,
    memory: int | str | None = None,
    progress: Progress | None = None,
) -> profiles.Profile:
    """Measure which layers of a bundle cost accuracy, and what its artifacts cost; the bundle and its page keep it.

    Args:
        bundle: The bundle.
        project: The folder of the project that it was built from; this one, or the sample, unless given.
        target: The bundle's target, if it is a profile of your own: its file.
        cache: Take artifacts from the cache that were lowered before from an equal program.
        memory: Memory for samples and activations, in bytes or as ``"4GB"``.
        progress: Told about every stage.

    Raises:
        BundleError: If there is no bundle, or it is damaged.
        ProjectError: If the bundle is of another project, or the project has changed since.
        EdgeKitError: A subclass for a stage that failed.
    """
    folder = folder_of(bundle)
    opened = find(None if project is None else Path(project), strict=False)
    opened = opened.with_memory(None if memory is None else arguments.memory_of(memory))
    store = caches.for_builds() if cache else None
    with telling(progress) as told:
        found = measure.profile(folder, lambda: job.of_project(opened), told, target=target, cache=store)
    add(folder, profiles.PROFILE_FILE, found.to_json(), found.manifest_sha256, profile=found)
    return found


def inspect(path: Bundle) -> Inspection:
    """Look into a .pte, an .onnx, a trace (.npz), or a bundle, whose files are checked.

    Raises:
        RunError: If it is a damaged artifact.
        BundleError: If there is no such file, it is a damaged bundle or trace, or of no kind that EdgeKit writes.
    """
    return inspect_file(folder_of(path))


@overload
def compare(old: Bundle, new: Bundle) -> BundleComparison: ...
@overload
def compare(
    old: Bundle,
    new: None = None,
    *,
    baseline: str | Path | None = None,
    project: str | Path | None = None,
    progress: Progress | None = None,
) -> DriftReport: ...
def compare(
    old: Bundle,
    new: Bundle | None = None,
    *,
    baseline: str | Path | None = None,
    project: str | Path | None = None,
    progress: Progress | None = None,
) -> BundleComparison | DriftReport:
    """Say what changed from one bundle to another; of one bundle, artifact or trace alone its drift from the baseline.

    Args:
        old: The bundle before, or its ``report.json``; alone also a .pte, an .onnx or a trace.
        new: The bundle after, or its ``report.json``. Nothing is run.
        baseline: The recorded baseline; the project's unless given.
        project: The project's folder; this one, or the sample, unless given.
        progress: Told about every stage.

    Raises:
        BundleError: If one is missing or damaged.
        EdgeKitError: A subclass for what else is wrong.
    """
    if new is not None:
        return compare_builds(read_side(folder_of(old)), read_side(folder_of(new)))
    opened = find(None if project is None else Path(project), strict=False)
    recorded = trace.load(opened.baseline if baseline is None else Path(baseline))
    with telling(progress) as told:
        return compare_path(folder_of(old), recorded, opened, told)


def run(bundle: Bundle, given: str | Path, *, format: str | None = None) -> Prediction:
    """Run one picture, sound or text through an artifact of a bundle.

    Args:
        bundle: The bundle.
        given: A picture that Pillow reads, a sound, a text, or the file of one.
        format: ``"pte"`` or ``"onnx"``; the first of the bundle unless given.

    Raises:
        BundleError: If the bundle is damaged, or has no artifact of that format.
        DataError: If the file cannot be read, or the model takes no such input.
        RunError: If the artifact does not load or run.
    """
    wanted: Format | None = None
    if format is not None:
        (wanted,) = arguments.formats_of(format)
    return predict(folder_of(bundle), given, wanted)


def drop(
    app: str | Path,
    *,
    bundle: Bundle | None = None,
    target: str | None = None,
    project: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Dropped:
    """Copy a bundle into an app, check it there, and pin the versions of the runtimes that it needs.

    Args:
        app: ``android-demo``, ``ios-demo``, or the folder of a Gradle project, an app module, a Swift package or an
            Xcode project.
        bundle: The bundle; ``artifacts/MODEL/TARGET`` of the project unless given.
        target: The target whose bundle to take; ``android-arm64`` or ``ios-arm64`` unless given.
        project: The project's folder; this one unless given.
        force: Take a bundle whose verdict is failed, too.
        progress: Told about every stage.

    Raises:
        AppError: If there is no app, or it cannot be written.
        BundleError: If the bundle is missing, damaged, or made for another platform.
        CompatibilityError: If an artifact needs what the runtime lacks that the app would link.
        OverBudgetError: If the bundle's verdict is failed.
    """
    folder = None if bundle is None else folder_of(bundle)
    return drops.drop(app, bundle=folder, target=target, project=project, force=force, progress=progress)


@overload
def verify(
    quantized: Bundle,
    *,
    emulate: bool = False,
    models: Sequence[str] = (),
    device: str | None = None,
    baseline: str | Path | None = None,
    progress: Progress | None = None,
) -> OnKernels: ...
@overload
def verify(
    quantized: Quantized | Mapping[str, Quantized],
    artifacts: Artifact | Sequence[Artifact],
    *,
    target: str | Path,
    evaluation: Data,
    budget: Budget | Mapping[str, object] | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> stages.Verified: ...
def verify(
    quantized: Bundle | Quantized | Mapping[str, Quantized],
    artifacts: Artifact | Sequence[Artifact] | None = None,
    *,
    target: str | Path | None = None,
    evaluation: Data | None = None,
    budget: Budget | Mapping[str, object] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    emulate: bool = False,
    models: Sequence[str] = (),
    device: str | None = None,
    baseline: str | Path | None = None,
    progress: Progress | None = None,
) -> OnKernels | stages.Verified:
    """Run artifacts, and measure how far their answers are from what they should be.

    Of a bundle: through the native program and the real kernels of its processor; the bundle and its page keep it. Of a
    quantized program and the artifacts lowered from it, a stage of a build: see `edgekit.pipeline.stages.verify`.

    Args:
        quantized: A bundle; or what the artifacts were lowered from, by format where they differ.
        artifacts: From `edgekit.lower`; not with a bundle.
        target: What they were lowered for.
        evaluation: The samples that drift is measured on.
        budget: Limits put over the target's.
        metrics: Metrics of your own, by output.
        emulate: Of a bundle: run the kernels of 64-bit ARM under an emulator; ``edgekit verify --setup`` prepares it.
        models: Models of processor to emulate, by QEMU's names; the target's unless given.
        device: A board, ``ssh:[USER@]HOST[:PORT]``, which ssh reaches without asking for a password.
        baseline: The recorded baseline of the model, whose samples are run; the golden inputs unless given.
        progress: Told about every stage.

    Raises:
        ProjectError: If an argument is missing, or two contradict each other.
        EdgeKitError: A subclass for what is wrong.
    """
    if not isinstance(quantized, str | Path | Built | BuildResult):
        if artifacts is None or target is None or evaluation is None:
            raise ProjectError(
                "verify needs artifacts, target and evaluation.", hint="Or give it a bundle: its folder is enough."
            )
        return stages.verify(quantized, artifacts, target=target, evaluation=evaluation, budget=budget, metrics=metrics)
    if artifacts is not None or target is not None or evaluation is not None:
        raise ProjectError(
            "artifacts, target and evaluation go with a quantized program, not with a bundle.",
            hint="A bundle has its artifacts; baseline= has the samples.",
        )
    folder = folder_of(quantized)
    try:
        address = None if device is None else parse(device)
    except ValueError as error:
        raise ProjectError(f"device is {device!r}: {error}", hint="It is ssh:[USER@]HOST[:PORT].") from error
    recorded = None if baseline is None else trace.load(Path(baseline))
    store = caches.for_builds()
    with telling(progress) as told:
        measured = emulation.verify(
            folder, recorded, told, emulate=emulate, models=models, address=address, cache=store
        )
    found = measured.verified
    file = EMULATED_FILE if address is None else BOARD_FILE
    add(folder, file, found.to_json(), found.manifest_sha256, verified={file.removesuffix(".json"): found})
    return found

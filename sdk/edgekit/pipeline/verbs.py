"""The verbs that look at bundles, as functions: of their folders, or of what a build handed back. None needs torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from edgekit.apps import drop as drops
from edgekit.apps.values import Dropped
from edgekit.base.progress import Progress
from edgekit.bundles.changes import BundleComparison
from edgekit.bundles.compare import compare_builds, read_side
from edgekit.bundles.result import BuildResult, Built, Bundle, folder_of, folders_of
from edgekit.data import trace
from edgekit.drift.report import DriftReport
from edgekit.inspection import Inspection, inspect_file
from edgekit.render.telling import telling
from edgekit.spec import Format, arguments
from edgekit.spec.find import find

if TYPE_CHECKING:
    from edgekit.inspection.predict import Prediction


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
    from edgekit.pipeline.comparison import compare_path  # torch, which two bundles do without

    opened = find(None if project is None else Path(project), strict=False)
    recorded = trace.load(opened.baseline if baseline is None else Path(baseline))
    with telling(progress) as told:
        return compare_path(folder_of(old), recorded, opened, told)


def run(bundle: Bundle, given: str | Path, *, format: str | None = None) -> "Prediction":
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
    from edgekit.inspection.predict import predict  # the runtimes

    wanted: Format | None = None
    if format is not None:
        (wanted,) = arguments.formats_of(format)
    return predict(folder_of(bundle), given, wanted)


def drop(
    app: str | Path,
    *,
    bundle: Bundle | Sequence[Bundle] | None = None,
    target: str | Sequence[str] | None = None,
    project: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Dropped:
    """Copy bundles into an app, check them there, and pin the versions of the runtimes: see `edgekit.apps.drop.drop`.

    Args:
        app: ``android-demo``, ``ios-demo``, or the folder of a Gradle project, an app module, a Swift package or an
            Xcode project.
        bundle: The bundle, or several, or a build of several targets; ``artifacts/MODEL/TARGET`` of the project unless
            given.
        target: The target whose bundle to take, or several; ``android-arm64`` or ``ios-arm64`` unless given.
        project: The project's folder; this one unless given.
        force: Take bundles whose verdict is failed, too.
        progress: Told about every stage.

    Raises:
        AppError: If there is no app, or it cannot be written.
        BundleError: If a bundle is missing, damaged, or made for another platform.
        CompatibilityError: If an artifact needs what the runtime lacks that the app would link.
        OverBudgetError: If a bundle's verdict is failed.
    """
    named = (bundle,) if isinstance(bundle, str | Path | Built | BuildResult) else tuple(bundle or ())
    folders = [folder for one in named for folder in folders_of(one)]
    return drops.drop(app, bundle=folders, target=target, project=project, force=force, progress=progress)

"""The verbs that measure a bundle, as functions: of its folder, or of what a build handed back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

from edgekit.apps.board.address import parse
from edgekit.base import cache as caches
from edgekit.base.progress import Progress
from edgekit.bundles.profile import PROFILE_FILE, Profile
from edgekit.bundles.result import BuildResult, Built, Bundle, folder_of
from edgekit.bundles.verified import BOARD_FILE, EMULATED_FILE
from edgekit.bundles.verified import Verified as OnKernels
from edgekit.data import trace
from edgekit.errors import ProjectError
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.model.source.given import Data
from edgekit.pipeline import emulate as emulation
from edgekit.pipeline import job, stages
from edgekit.pipeline.job import Metric
from edgekit.pipeline.measured import add
from edgekit.pipeline.profiling import measure
from edgekit.render.telling import telling
from edgekit.spec import Budget, arguments
from edgekit.spec.find import find


def profile(
    bundle: Bundle,
    *,
    project: str | Path | None = None,
    target: str | Path | None = None,
    cache: bool = True,
    memory: int | str | None = None,
    steps: bool = False,
    progress: Progress | None = None,
) -> Profile:
    """Measure which layers of a bundle cost accuracy, and what its artifacts cost; the bundle and its page keep it.

    Args:
        bundle: The bundle.
        project: The folder of the project that it was built from; this one, or the sample, unless given.
        target: The bundle's target, if it is a profile of your own: its file.
        cache: Take artifacts from the cache that were lowered before from an equal program.
        memory: Memory for samples and activations, in bytes or as ``"4GB"``.
        steps: Whether to measure what each step of the quantizer gives: the model is quantized once more for each.
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
        found = measure.profile(folder, lambda: job.of_project(opened), told, target=target, cache=store, steps=steps)
    add(folder, PROFILE_FILE, found.to_json(), found.manifest_sha256, profile=found)
    return found


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

"""``edgekit finetune``: a project's model is trained as its artifact will compute it, and written for its builds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit import chips
from edgekit.base.progress import Progress, Stages
from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.drift.meaning import quick_metrics
from edgekit.drift.metrics import Metrics
from edgekit.errors import ProjectError
from edgekit.model.program import Quantized
from edgekit.pipeline import datasets
from edgekit.pipeline.finetuning import Device, Finetuned, check_device, judge, of_captured, trained_with
from edgekit.pipeline.job import Job, of_project
from edgekit.pipeline.keep import Keep
from edgekit.pipeline.legs import ground
from edgekit.pipeline.trained import check_place, of_network, save
from edgekit.spec import Fallback, Format, Scheme, Target, Training, schemes
from edgekit.spec.project import OpenProject


@dataclass(frozen=True, kw_only=True)
class FinetunedProject:
    """What came of a project's training."""

    training: Finetuned
    samples: int
    """That were trained with, and judged by."""
    evaluation: int
    """Samples that drift was measured on; no epoch was chosen by them."""
    scheme: Scheme
    format: Format
    """Of the artifact that was judged."""
    before: dict[str, Metrics]
    """Drift of the artifact before, from the float model, by output."""
    after: dict[str, Metrics]
    """The same afterwards."""
    folder: Path | None
    """Where the trained network was written; None: no epoch was better than none."""
    paste: tuple[str, ...]
    """Lines for the project file."""


def finetune_project(
    project: OpenProject,
    target: Target,
    output: Path,
    progress: Progress,
    *,
    formats: Sequence[Format] = (),
    training: Training | None = None,
    device: Device = "cpu",
) -> FinetunedProject:
    """Train a project's model, and write it to a folder that `[quantize] trained` may name.

    Args:
        project: The project.
        target: What it is trained for: its chip says what is rounded, and its artifact judges.
        output: The folder; beside it stands ``OUTPUT.checkpoint`` while it is trained.
        progress: Told about every stage.
        formats: The artifacts that are wanted, of those that the target names.
        training: How to train.
        device: Where to train.

    Raises:
        ProjectError: If the formats have different schemes, nothing is quantized, or there is no such device.
        BundleError: If the folder holds something else than a trained network.
        EdgeKitError: A subclass for what else is wrong.
    """
    check_device(device)
    check_place(output)
    spec = project.spec.quantize.model_copy(update={"trained": None, "fallback": Fallback.NONE})
    (target,) = schemes.narrowed((target,), formats or project.spec.formats)
    scheme, format = _one_scheme(schemes.of_target(target, spec))
    stages = Stages(progress)
    with stages("load") as detail:
        job = of_project(project.with_quantize(spec))
        samples = datasets.training_of(project, job.memory) or job.calibration
        detail.append(f"{len(samples)} samples to train with")
    start = ground(job, stages, Keep(folder=None))
    with stages(f"quantize {scheme}"):
        network = of_captured(start.captured, scheme, spec, job.calibration, chips.of_target(target).placing)
    before = _drift(job, target, format, network.quantized(), start.host.outputs)
    plan, checkpoint = training or Training(), output.with_name(f"{output.name}.checkpoint")
    found = trained_with(network, samples, plan, target, (format,), device, checkpoint, progress)
    after, folder = before, None
    if found.best_epoch:
        trained = of_network(network)
        after = _drift(job, target, format, trained.program, start.host.outputs)
        with stages("write") as detail:
            save(trained, output)
            detail.append(str(output))
        folder = output
    checkpoint.unlink(missing_ok=True)
    return FinetunedProject(
        training=found,
        samples=len(samples),
        evaluation=len(job.evaluation),
        scheme=scheme,
        format=format,
        before=before,
        after=after,
        folder=folder,
        paste=() if folder is None else _paste(project, folder, scheme),
    )


def _one_scheme(asked: dict[Format, Scheme]) -> tuple[Scheme, Format]:
    """Return the scheme of all formats, and the first of these."""
    format, scheme = next(iter(asked.items()))
    if scheme is Scheme.FLOAT:
        raise ProjectError("The scheme is float: there is nothing to train.", hint="Choose another in [quantize].")
    if set(asked.values()) != {scheme}:
        each = ", ".join(f".{one}: {kind}" for one, kind in asked.items())
        raise ProjectError(
            f"The formats have different schemes ({each}), and a network is trained for one.",
            hint=f"Train for one of them, --format {format}, and build that one alone.",
        )
    return scheme, format


def _drift(
    job: Job, target: Target, format: Format, program: Quantized, reference: Mapping[str, Rows]
) -> dict[str, Metrics]:
    samples: Samples = job.evaluation
    answers = judge(target, format)(program, samples)
    return quick_metrics(job.source.outputs, reference, answers, samples)


def _paste(project: OpenProject, folder: Path, scheme: Scheme) -> tuple[str, ...]:
    place = folder.resolve()
    root = project.root.resolve()
    name = place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)
    return ("[quantize]", f'scheme = "{scheme}"', f'trained = "{name}"')

"""``edgekit finetune``: train a model as its artifact will compute it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, MEMORY, SAMPLE, Answer, verb

if TYPE_CHECKING:
    from edgekit.pipeline.finetuning import Device


@click.command(
    short_help="Train the quantized model, and build what was trained",
    epilog=examples(
        "edgekit finetune -t android-arm64",
        "edgekit finetune -t android-arm64 --format pte --epochs 20 --device cuda",
    ),
)
@click.option("-t", "--target", metavar="NAME", help="Target to train for; the project's first unless given.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("trained"),
    show_default=True,
    help="Folder for the trained network.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["pte", "onnx"]),
    help="Artifact that is wanted; repeat it for several. The first judges. All that the target names unless given.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training samples at most; 10 if not given.")
@click.option("--batch", type=click.IntRange(min=1), help="Samples of a step; 64 if not given.")
@click.option("--rate", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Largest rate of the training.")
@click.option(
    "--labels",
    type=click.FloatRange(0, 1),
    help="How much true classes count beside the float model's answers; nothing if not given.",
)
@click.option("--patience", type=click.IntRange(min=1), help="Epochs without a better artifact before it ends.")
@click.option("--seed", type=click.IntRange(min=0), help="Another number gives another order of the samples.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to train.")
@FOLDER
@SAMPLE
@MEMORY
@verb
def finetune(
    progress: Progress,
    /,
    *,
    target: str | None,
    output: Path,
    formats: tuple[str, ...],
    device: "Device",
    folder: Path | None,
    sample: bool,
    memory: int | None,
    **settings: int | float | None,
) -> Answer:
    """Train the project's model as its artifact will compute it, to answer as the float model does.

    The samples are those of [data] training, or of the calibration; they need no labels. A tenth of them is held out:
    after each epoch the artifact is made and run on it, and the best epoch is kept. Killed and started again, the
    training goes on where it was.
    """
    from edgekit import targets
    from edgekit.spec import Format, Training
    from edgekit.spec.find import find

    opened = find(folder, sample=sample).with_memory(memory)
    name = target or next(iter(opened.spec.build.targets), None)
    if name is None:
        raise click.UsageError("Say what to train for with --target NAME.")
    profile = targets.load(name)
    plan = Training(**{key: value for key, value in settings.items() if value is not None})  # type: ignore[arg-type]

    from edgekit.pipeline.finetune import finetune_project
    from edgekit.render import finetuning

    found = finetune_project(
        opened, profile, output, progress, formats=tuple(map(Format, formats)), training=plan, device=device
    )
    epochs = tuple((one.number, one.trained, one.judged) for one in found.training.epochs)
    title = f"{opened.spec.model.name}, {found.scheme}, {found.samples} samples; drift on {found.evaluation} others"
    return Answer(
        data={
            "folder": found.folder,
            "format": found.format,
            "scheme": found.scheme,
            "samples": found.samples,
            "evaluation": found.evaluation,
            "epochs": [asdict(one) for one in found.training.epochs],
            "best_epoch": found.training.best_epoch,
            "before": {name: one.model_dump(mode="json") for name, one in found.before.items()},
            "after": {name: one.model_dump(mode="json") for name, one in found.after.items()},
            "paste": list(found.paste),
        },
        text=lambda console: finetuning.show_finetuning(
            console,
            title=title,
            epochs=epochs,
            best=found.training.best_epoch,
            drift=(("before", found.before), ("after", found.after)),
            paste=found.paste,
        ),
    )

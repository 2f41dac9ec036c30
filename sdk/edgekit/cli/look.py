"""``edgekit inspect`` and ``edgekit run``: looking into files, and trying them."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import Answer, verb


@click.command(
    short_help="Show what is inside a file or a bundle",
    epilog=examples(
        "edgekit inspect artifacts/digits/android-arm64",
        "edgekit inspect model.onnx --json",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@verb
def inspect(progress: Progress, *, file: Path) -> Answer:
    """Show what is inside FILE.

    FILE is a .pte, an .onnx, a trace (.npz) or a bundle's folder, whose files are checked.
    """
    from edgekit.inspection import inspect_file
    from edgekit.render import inspection, json

    found = inspect_file(file)
    return Answer(data=json.inspection(found), text=lambda console: inspection.show(console, found))


@click.command(
    short_help="Run one picture, sound or text through a bundle",
    epilog=examples(
        "edgekit run artifacts/digits/android-arm64 --input seven.png",
        'edgekit run artifacts/minilm/linux-x86_64 --input "a short text" --format onnx',
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "given",
    required=True,
    metavar="INPUT",
    help="Picture or sound to feed, or a text, itself or in a file; preprocessed as the bundle says.",
)
@click.option("--format", "wanted", type=click.Choice(["pte", "onnx"]), help="Artifact to run; the first if not given.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes to show.")
@verb
def run(progress: Progress, *, bundle: Path, given: str, wanted: str | None, top: int) -> Answer:
    """Run one picture, sound or text through an artifact of BUNDLE."""
    from edgekit.inspection.predict import predict
    from edgekit.render import json
    from edgekit.render.prediction import show_prediction
    from edgekit.spec import Format

    prediction = predict(bundle, given, Format(wanted) if wanted else None)
    return Answer(
        data=json.prediction(prediction, top),
        text=lambda console: show_prediction(console, prediction, top),
    )

"""``edgekit baseline``: what the model computes in float, recorded where it serves."""

from pathlib import Path
from typing import Literal

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import Group, examples
from edgekit.cli.shell import FOLDER, SAMPLE, Answer, announced, verb


@click.group(cls=Group, short_help="Record or show the float reference")
def baseline() -> None:
    """Record or show the float reference."""


@baseline.command(
    short_help="Run the float model and save what it computed",
    epilog=examples(
        "edgekit baseline record --device cuda",
        "edgekit baseline record --dtype bfloat16 --tf32",
    ),
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cuda", "cpu"]),
    default="auto",
    show_default=True,
    help="Where to run the model; auto takes the GPU if there is one.",
)
@click.option(
    "--dtype",
    "precisions",
    multiple=True,
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Precision to record; repeat it for several. float32, the reference, is always among them.",
)
@click.option("--tf32", is_flag=True, help="Record float32 with TensorFloat-32 too; the reference is then without it.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Trace file to write; the project's if not given.",
)
@FOLDER
@SAMPLE
@verb
def record(
    progress: Progress,
    *,
    device: Literal["auto", "cuda", "cpu"],
    precisions: tuple[Literal["float32", "bfloat16", "float16"], ...],
    tf32: bool,
    output: Path | None,
    folder: Path | None,
    sample: bool,
) -> Answer:
    """Run the float model over the evaluation data and save what it computed.

    What is recorded in other precisions shows the server's own noise, which `edgekit profile` holds drift against.
    """
    from edgekit.pipeline import baseline as recording
    from edgekit.render import json, tables
    from edgekit.spec.find import find

    opened = find(folder, sample=sample)
    closing = announced(progress, opened)
    path, trace = recording.record(opened, device, output, progress, precisions=precisions, tf32=tf32)
    return Answer(
        data={"file": str(path), **json.trace(trace)},
        text=lambda console: tables.show_trace(console, trace, str(path)),
        closing=closing,
    )


@baseline.command(
    short_help="Show what is in a baseline, and where it was computed",
    epilog=examples(
        "edgekit baseline show",
        "edgekit baseline show baseline.npz",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@FOLDER
@verb
def show(progress: Progress, *, file: Path | None, folder: Path | None) -> Answer:
    """Show what is in a baseline, and where it was computed.

    FILE is a trace; without it the project's baseline is shown.
    """
    from edgekit.data import trace as traces
    from edgekit.render import json, tables
    from edgekit.spec.find import find

    path = file or find(folder, strict=False).baseline
    trace = traces.load(path)
    return Answer(
        data={"file": str(path), **json.trace(trace)},
        text=lambda console: tables.show_trace(console, trace, str(path)),
    )

"""``edgekit bisect``: the first operation at which two computations of one model part."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, MEMORY, Answer, verb
from edgekit.errors import LowerError

_FLOAT = Path("float")


@click.command(
    short_help="Find the first operation where two computations part",
    epilog=examples(
        "edgekit bisect artifacts/digits/android-arm64",
        "edgekit bisect float artifacts/digits/android-arm64",
    ),
)
@click.argument("first", metavar="BUNDLE|float", type=click.Path(path_type=Path))
@click.argument("second", metavar="[OTHER]", type=click.Path(path_type=Path), required=False)
@click.option(
    "-t", "--target", metavar="NAME", help="The bundle's target, if it is a profile of your own: its TOML file."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    default=Path("bisect"),
    help="Folder for the operation alone, with its inputs and a script; bisect if not given.",
)
@click.option("--no-cache", is_flag=True, help="Lower everything anew, and keep nothing of it in the cache.")
@FOLDER
@MEMORY
@verb
def bisect(
    progress: Progress,
    *,
    first: Path,
    second: Path | None,
    target: str | None,
    output: Path,
    no_cache: bool,
    folder: Path | None,
    memory: int | None,
) -> Answer:
    """Find the first operation at which two computations of one model part.

    BUNDLE alone: each artifact against the quantized program that it was made from. OTHER, a .onnx, a .pte or a second
    bundle, is held against BUNDLE's program instead. `bisect float BUNDLE` names the first layer whose rounding stands
    out. The program is made again from the project. Exit code 9 if an artifact computes something else.
    """
    if first == _FLOAT and second is None:
        raise click.UsageError("float against what? Name a BUNDLE behind it.")

    from edgekit import bundles

    bundle = second if first == _FLOAT and second is not None else first
    bundles.read(bundle)  # what is no bundle is told before torch is imported

    from edgekit.base import cache
    from edgekit.pipeline import job
    from edgekit.pipeline.bisecting import bisect as bisecting
    from edgekit.render.bisection import parting_line, show_bisection
    from edgekit.spec.find import find

    opened = find(folder, strict=False).with_memory(memory)
    if first == _FLOAT:
        found = bisecting.bisect_float(bundle, lambda: job.of_project(opened), progress, target=target)
    else:
        store = None if no_cache else cache.for_builds()
        found = bisecting.bisect(
            bundle,
            lambda: job.of_project(opened),
            progress,
            other=second,
            target=target,
            cache=store,
            output=output,
        )
    failures = [parting_line(one) for one in found.compared if one.parting is not None]
    return Answer(
        data={"parts": found.parts, "bisection": found.model_dump(mode="json")},
        text=lambda console: show_bisection(console, found),
        failure=LowerError("\n".join(failures), hint="The operation alone is in the folder.") if failures else None,
    )

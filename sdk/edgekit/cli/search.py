"""``edgekit search``: the curve of drift against cost, to choose a point from."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, MEMORY, SAMPLE, Answer, verb


@click.command(
    short_help="Find the schemes and layers that drift least for their bytes",
    epilog=examples(
        "edgekit search -t android-arm64",
        "edgekit search -t android-arm64 --at 'accuracy_drop<=0.005'",
        "edgekit search -t android-arm64 --format pte --at 'bytes<=2MB' --latency",
    ),
)
@click.option("-t", "--target", metavar="NAME", help="Target to search for; the project's first unless given.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["pte", "onnx"]),
    help="Artifact to search for; repeat it for several. All that the target names unless given.",
)
@click.option(
    "--at",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Choose a point: bytes<=2MB, accuracy_drop<=0.005, sqnr_db>=40, latency_ms<=5; repeat it for several.",
)
@click.option(
    "--points",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="How many sets of layers in float to try for each format.",
)
@click.option("--latency", is_flag=True, help="Time the points of the curve on this host.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("search"),
    show_default=True,
    help="Folder for curve.json and curve.svg.",
)
@click.option("--no-cache", is_flag=True, help="Measure everything anew, and keep nothing of it in the cache.")
@FOLDER
@SAMPLE
@MEMORY
@verb
def search(
    progress: Progress,
    /,
    *,
    target: str | None,
    formats: tuple[str, ...],
    conditions: tuple[str, ...],
    points: int,
    latency: bool,
    output: Path,
    no_cache: bool,
    folder: Path | None,
    sample: bool,
    memory: int | None,
) -> Answer:
    """Find the schemes, and the layers in float, that no other choice beats in both bytes and drift.

    Layers are scored in a few passes; every point that is shown was quantized, lowered and run on the evaluation data.
    A search that was stopped goes on where it was.
    """
    from edgekit import targets
    from edgekit.base import atomic
    from edgekit.base import cache as caches
    from edgekit.errors import OverBudgetError
    from edgekit.model import curve as curves
    from edgekit.spec import Format, schemes
    from edgekit.spec.find import find

    wanted = [curves.condition(text) for text in conditions]
    latency = latency or any(one.name == "latency_ms" for one in wanted)
    opened = find(folder, sample=sample).with_memory(memory)
    name = target or next(iter(opened.spec.build.targets), None)
    if name is None:
        raise click.UsageError("Say what to search for with --target NAME.")
    (profile,) = schemes.narrowed((targets.load(name),), tuple(map(Format, formats)) or opened.spec.formats)
    store = None if no_cache else caches.for_builds()

    from edgekit.pipeline import job
    from edgekit.pipeline.search import search as find_curve
    from edgekit.render import search as rendering

    found = find_curve(job.of_project(opened), profile, progress, cache=store, most=points, latency=latency)
    chosen, failure = None, None
    try:
        chosen = curves.at(found.points, wanted) if wanted else None
    except OverBudgetError as error:  # the curve is shown all the same
        failure = error
    drawing = output / "curve.svg"
    atomic.replace_file(output / "curve.json", (found.model_dump_json(indent=1) + "\n").encode())
    atomic.replace_file(drawing, rendering.drawn(found, chosen).encode())
    data = found.model_dump(mode="json")
    for point, one in zip(data["points"], found.points, strict=True):
        point["paste"] = list(one.paste)
    return Answer(
        data={**data, "chosen": None if chosen is None else found.points.index(chosen), "drawing": drawing},
        text=lambda console: rendering.show_curve(console, found, chosen, str(drawing)),
        failure=failure,
    )

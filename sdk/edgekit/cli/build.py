"""``edgekit build``: bundles, and their verdict."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.base.keeping import keep_folder
from edgekit.base.progress import Foreseen, Progress
from edgekit.cli.gate import Gate, gate_options, over_budget
from edgekit.cli.group import examples
from edgekit.cli.named import TRUST, asked, guessed, model_options, needed
from edgekit.cli.shell import FOLDER, MEMORY, SAMPLE, Answer, announced, verb
from edgekit.errors import EdgeKitError

if TYPE_CHECKING:
    from edgekit.bundles.result import BuildResult
    from edgekit.spec.target import NativePictures


def _target_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a shipped target, for shells."""
    from edgekit.targets import profiles

    return [name for name in (*profiles.names(), profiles.ALL) if name.startswith(incomplete)]


@click.command(
    short_help="Quantize, lower and verify a model: artifacts for targets",
    epilog=examples(
        "edgekit build --sample -t android-arm64",
        "edgekit build -t android-arm64 -t ios-arm64 -o artifacts",
        "edgekit build --model net.py:Net --weights net.safetensors --data photos -t linux-arm64",
        "edgekit build -v -t android-arm64        # decibels, limits and intervals, too",
    ),
)
@click.option(
    "-t",
    "--target",
    "wanted",
    shell_complete=_target_names,
    multiple=True,
    metavar="NAME",
    help="Target to build for; repeat it for several, or say all. The project's own unless given.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("artifacts"),
    show_default=True,
    help="Folder for the bundles: OUTPUT/<model>/<target>.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["pte", "onnx"]),
    help="Artifact to write; repeat it for several. All that the target or the project names unless given.",
)
@model_options
@FOLDER
@SAMPLE
@MEMORY
@TRUST
@click.option(
    "--native",
    is_flag=False,
    flag_value="png",
    type=click.Choice(["png", "jpeg"]),
    help="Add a folder that runs on Linux without Python; its program reads PNG or, with --native jpeg, JPEG too.",
)
@click.option(
    "--peak-memory",
    is_flag=True,
    help="Measure how much memory each file takes on this host, in a process of its own; some seconds.",
)
@click.option("--no-cache", is_flag=True, help="Build everything anew, and keep nothing of it in the cache.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep every intermediate there and, if a stage fails, its input with a script that fails alike; "
    "$EDGEKIT_KEEP does the same.",
)
@gate_options
@verb
def build(
    progress: Progress,
    /,
    *,
    wanted: tuple[str, ...],
    output: Path,
    formats: tuple[str, ...],
    folder: Path | None,
    sample: bool,
    memory: int | None,
    trust_pickle: bool,
    native: "NativePictures | None",
    peak_memory: bool,
    no_cache: bool,
    keep: Path | None,
    junit: Path | None,
    summary: Path | None,
    **named: Any,
) -> Answer:
    """Quantize, lower, verify and bundle the project's model, or one that --model and --weights name.

    Of a model that is named, what nobody says is told by its layers, its weights and the data, and the report says so.
    What has not changed since an earlier build is taken from the cache.
    """
    from edgekit import targets
    from edgekit.base import cache as caches
    from edgekit.base import times
    from edgekit.spec import Format, schemes
    from edgekit.spec.find import find

    gate = Gate.asked(junit, summary)
    targets.asked(wanted)  # a name that is none is said before anything is read
    ready = None
    if (model := asked(**named, trust_pickle=trust_pickle)) is None:
        opened = find(folder, sample=sample).with_memory(memory)
    elif folder is not None or sample:
        raise click.UsageError("--model goes without --project and --sample: all three say what to build.")
    else:
        found = guessed(needed(model), model.home, progress, trust_pickle=trust_pickle)
        opened, ready, trust_pickle = found.project.with_memory(memory), found.ready, False
    if not (wanted := wanted or opened.spec.build.targets):
        names = "\n  ".join(targets.names())
        raise click.UsageError(f"Say what to build for with --target NAME. There are:\n  {names}")
    narrowed = tuple(map(Format, formats))
    chosen, lacking = targets.asked(
        wanted, partial(schemes.check, formats=narrowed or opened.spec.formats, spec=opened.spec.quantize)
    )
    closing = announced(progress, opened)
    store = None if no_cache else caches.for_builds()
    run = (str(opened.root.resolve()), opened.spec.model.name, *wanted, *formats)

    from edgekit.pipeline import rebuild
    from edgekit.render import cases, json, markdown, tables
    from edgekit.render.summary import show_summary

    result = rebuild.build_project(
        opened,
        chosen,
        output,
        progress if store is None else Foreseen(progress, times.recall(store, run)),
        formats=narrowed,
        cache=not no_cache,
        keep=keep_folder(keep),
        trust_pickle=trust_pickle,
        native=native,
        ready=ready,
        peak_memory=peak_memory,
    )
    if store is not None:
        times.remember(store, run, result.seconds, result.cached)
    result = result.beside(lacking)
    judged = [(cases.of_manifest(bundle.manifest), bundle.manifest.drift) for bundle in result.bundles]
    text, unwritten = gate.write(
        tuple(suite for suite, _ in judged),
        markdown.of_build(judged),
        lambda console: tables.show_build(console, result),
    )
    return Answer(
        data={**json.build_result(result), "sample": opened.is_sample},
        text=text,
        unwritten=unwritten,
        summary=None if gate.prints else lambda console: show_summary(console, result),
        details=None if gate.prints else lambda console: tables.show_details(console, result),
        failure=_failure(result),
        closing=closing,
    )


def _failure(result: "BuildResult") -> EdgeKitError | None:
    """Return the error that a build ends with: the first target that could not be built, else what is over a limit."""
    from edgekit.render.next_step import next_step

    for one in result.not_built:
        if one.failed:
            return type(one.error)(f"{one.target} was not built: {one.error.message}", hint=one.error.hint)
    over = [bundle for bundle in result.bundles if not bundle.passed]
    lines = [f"{one.manifest.target.name}: {line}" for one in over for line in one.failures]
    return over_budget(lines, next_step(over[0].manifest, over[0].folder, result.ranking)) if over else None

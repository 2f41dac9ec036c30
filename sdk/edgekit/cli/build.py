"""``edgekit build`` and ``edgekit compare``: what ends in a verdict."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.base.keeping import keep_folder
from edgekit.base.progress import Progress
from edgekit.cli.gate import PAGE, Gate, gate_options, write
from edgekit.cli.named import TRUST, asked, guessed, model_options, needed
from edgekit.cli.shell import FOLDER, MEMORY, SAMPLE, Answer, announced, verb
from edgekit.errors import EdgeKitError, OverBudgetError

if TYPE_CHECKING:
    from edgekit.bundles.changes import Side
    from edgekit.bundles.result import BuildResult
    from edgekit.drift.report import DriftReport
    from edgekit.spec.target import NativePictures


@click.command()
@click.option(
    "--target",
    "wanted",
    multiple=True,
    metavar="NAME",
    help="Target to build for; repeat it for several, or say all. The project's own unless given.",
)
@click.option(
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

    from edgekit.pipeline import rebuild
    from edgekit.render import cases, json, markdown, tables, verdict

    result = rebuild.build_project(
        opened,
        chosen,
        output,
        progress,
        formats=narrowed,
        cache=not no_cache,
        keep=keep_folder(keep),
        trust_pickle=trust_pickle,
        native=native,
        ready=ready,
    )
    result = result.beside(lacking)
    failures = [f"{b.manifest.target.name}: {line}" for b in result.bundles for line in verdict.of_manifest(b.manifest)]
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
        failure=_failure(result, failures),
        closing=closing,
    )


def _failure(result: "BuildResult", over: list[str]) -> EdgeKitError | None:
    """Return the error that a build ends with: the first target that could not be built, else what is over a limit."""
    for one in result.not_built:
        if one.failed:
            return type(one.error)(f"{one.target} was not built: {one.error.message}", hint=one.error.hint)
    return over_budget(over) if over else None


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path), required=False)
@click.option(
    "--baseline",
    "reference",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Recorded baseline; the project's if not given.",
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Bundle that a device ran; looked for in artifacts/*/* if not given.",
)
@FOLDER
@PAGE
@gate_options
@verb
def compare(
    progress: Progress,
    *,
    path: Path,
    new: Path | None,
    reference: Path | None,
    bundle: Path | None,
    folder: Path | None,
    page: Path | None,
    junit: Path | None,
    summary: Path | None,
) -> Answer:
    """Measure the drift of PATH from a baseline, or show what changed from PATH to NEW.

    PATH is a bundle's folder, a .pte, an .onnx or a trace (.npz). Of two bundles, or their report.json, the numbers of
    their builds are compared and nothing is run; two artifacts or traces are measured against the baseline. The exit
    code is NEW's verdict. What an app's self-test wrote on a device is held against its bundle's golden outputs.
    """
    gate = Gate.asked(junit, summary)
    if new is not None:
        old, after = (_side(one, reference, folder, progress, bundle) for one in (path, new))
        return _changes(old, after, gate, page)
    if page is not None:
        raise click.UsageError("--page shows what changed from PATH to NEW: give NEW too.")

    from edgekit.render import cases, json, markdown, tables, verdict

    report = _measured(path, reference, folder, progress, bundle)
    suite = cases.of_drift(str(path), report)
    text, unwritten = gate.write(
        (suite,),
        markdown.of_build([(suite, report)]),
        lambda console: tables.show_comparison(console, report, str(path)),
    )
    return Answer(
        data=json.comparison(report),
        text=text,
        unwritten=unwritten,
        failure=None if report.within_budget else over_budget(list(verdict.of_drift(report))),
    )


def _measured(
    path: Path, reference: Path | None, folder: Path | None, progress: Progress, bundle: Path | None
) -> "DriftReport":
    from edgekit.data import trace
    from edgekit.spec.find import find

    opened = find(folder, strict=False)
    if path.suffix == ".npz" and (candidate := trace.load(path)).origin.program == "device":
        from edgekit.apps import device

        if reference is not None:
            raise click.UsageError("--baseline is not for the trace that a device wrote; --bundle names what it ran.")
        return device.compare_trace(candidate, bundle, (Path(), opened.root))
    if bundle is not None:
        raise click.UsageError("--bundle is for the trace that a device wrote; others are held against the baseline.")
    recorded = trace.load(reference or opened.baseline)

    from edgekit.pipeline import comparison

    return comparison.compare_path(path, recorded, opened, progress)


def _side(path: Path, reference: Path | None, folder: Path | None, progress: Progress, bundle: Path | None) -> "Side":
    from edgekit.bundles.changes import Side
    from edgekit.bundles.compare import read_side

    if path.is_dir() or path.suffix == ".json":
        return read_side(path)
    return Side(path=str(path), report=None, drift=_measured(path, reference, folder, progress, bundle))


def _changes(old: "Side", new: "Side", gate: Gate, page: Path | None) -> Answer:
    from edgekit.bundles.compare import compare_builds
    from edgekit.render import cases, json, markdown
    from edgekit.render import changes as render

    found = compare_builds(old, new)
    suite = cases.of_side(new)
    text, unwritten = gate.write(
        (suite,), markdown.of_changes(suite, found), lambda console: render.show_changes(console, found)
    )
    if page is not None:
        from edgekit.render.page import changes as pages

        unwritten += write(page, pages.of_changes(found))
    return Answer(
        data=json.changes(found),
        text=text,
        unwritten=unwritten,
        failure=None if new.passed else over_budget(render.failures(found)),
    )


def over_budget(failures: list[str]) -> OverBudgetError:
    """Return the error that names what was over its limit."""
    return OverBudgetError(
        "over budget:\n" + "\n".join(f"  - {failure}" for failure in failures),
        hint="See which leg loses most in the table above; limits stand in edgekit.toml under [budget]. "
        'Where the quantization leg does, fallback = "auto" under [quantize] keeps the layers that cost most in float.',
    )

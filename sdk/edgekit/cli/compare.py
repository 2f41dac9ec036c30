"""``edgekit compare``: drift from a baseline, or what changed between two builds."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.base.progress import Progress
from edgekit.cli.gate import PAGE, Gate, gate_options, over_budget, write
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, Answer, verb

if TYPE_CHECKING:
    from edgekit.bundles.changes import Side
    from edgekit.drift.report import DriftReport


@click.command(
    short_help="Measure drift from a baseline, or compare two builds",
    epilog=examples(
        "edgekit compare artifacts/digits/android-arm64/model.onnx",
        "edgekit compare main/digits/android-arm64 artifacts/digits/android-arm64",
        "edgekit compare OLD NEW --page changes.html",
    ),
)
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

    from edgekit.bundles import verdict
    from edgekit.render import cases, json, markdown, tables
    from edgekit.render.summary import show_drift_summary

    report = _measured(path, reference, folder, progress, bundle)
    suite = cases.of_drift(str(path), report)
    text, unwritten = gate.write(
        (suite,),
        markdown.of_build([(suite, report)]),
        lambda console: tables.show_comparison(console, report),
    )
    return Answer(
        data=json.comparison(report),
        text=text,
        summary=None if gate.prints else lambda console: show_drift_summary(console, report, str(path)),
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
    from edgekit.render.next_step import next_step

    found = compare_builds(old, new)
    suite = cases.of_side(new)
    text, unwritten = gate.write(
        (suite,), markdown.of_changes(suite, found), lambda console: render.show_changes(console, found)
    )
    if page is not None:
        from edgekit.render.page import changes as pages

        unwritten += write(page, pages.of_changes(found))
    hint = "" if new.report is None else next_step(new.report, Path(new.path))
    return Answer(
        data=json.changes(found),
        text=text,
        unwritten=unwritten,
        failure=None if new.passed else over_budget(render.failures(found), hint),
    )

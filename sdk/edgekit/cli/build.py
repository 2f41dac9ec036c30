"""``edgekit build`` and ``edgekit compare``: what ends in a verdict."""

from pathlib import Path

import click

from edgekit.cli.shell import FOLDER, Answer, verb
from edgekit.errors import OverBudgetError
from edgekit.progress import Progress


@click.command()
@click.option("--target", "wanted", multiple=True, metavar="NAME", help="Target to build for; repeat it for several.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("artifacts"),
    show_default=True,
    help="Folder for the bundles: OUTPUT/<model>/<target>.",
)
@FOLDER
@click.option("--no-cache", is_flag=True, help="Build everything anew, and keep nothing of it in the cache.")
@verb
def build(progress: Progress, *, wanted: tuple[str, ...], output: Path, folder: Path, no_cache: bool) -> Answer:
    """Quantize, lower, verify and bundle the project's model.

    What has not changed since an earlier build is taken from the cache.
    """
    from edgekit import project, targets

    if not wanted:
        names = "\n  ".join(targets.names())
        raise click.UsageError(f"Say what to build for with --target NAME. There are:\n  {names}")
    chosen = tuple(targets.load(name) for name in dict.fromkeys(wanted))
    opened = project.find(folder)

    from edgekit import rebuild
    from edgekit.render import json, tables, verdict

    result = rebuild.build_project(opened, chosen, output, progress, cache=not no_cache)
    failures = [f"{b.manifest.target.name}: {line}" for b in result.bundles for line in verdict.of_manifest(b.manifest)]
    return Answer(
        data=json.build_result(result),
        text=lambda console: tables.show_build(console, result),
        failure=None if result.passed else over_budget(failures),
    )


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    "reference",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Recorded baseline; the project's if not given.",
)
@FOLDER
@verb
def compare(progress: Progress, *, path: Path, reference: Path | None, folder: Path) -> Answer:
    """Measure the drift of PATH from a baseline.

    PATH is a bundle's folder, a .pte, an .onnx or a trace (.npz).
    """
    from edgekit import project, trace

    opened = project.find(folder)
    recorded = trace.load(reference or opened.baseline)

    from edgekit import comparison
    from edgekit.render import json, tables, verdict

    report = comparison.compare_path(path, recorded, opened, progress)
    return Answer(
        data=json.comparison(report),
        text=lambda console: tables.show_comparison(console, report, str(path)),
        failure=None if report.within_budget else over_budget(list(verdict.of_drift(report))),
    )


def over_budget(failures: list[str]) -> OverBudgetError:
    """Return the error that names what was over its limit."""
    return OverBudgetError(
        "over budget:\n" + "\n".join(f"  - {failure}" for failure in failures),
        hint="See which leg loses most in the table above; limits stand in edgekit.toml under [budget].",
    )

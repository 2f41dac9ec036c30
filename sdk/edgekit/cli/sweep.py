"""``edgekit sweep``: many models, for many targets, on any number of machines."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.base.progress import Progress
from edgekit.cli.gate import over_budget
from edgekit.cli.group import examples
from edgekit.cli.shell import Answer, verb
from edgekit.errors import EdgeKitError, SweepError

if TYPE_CHECKING:
    from edgekit.bundles.cells import Swept

_NAMED = 20
STORE = click.option(
    "--store",
    default="edgekit-store",
    show_default=True,
    metavar="PLACE",
    help="Where results are kept: a folder, or a URL such as s3://BUCKET/PATH.",
)


@click.command(
    short_help="Build many models for many targets, each cell once",
    epilog=examples(
        "edgekit sweep sweep.toml",
        "edgekit sweep sweep.toml --tag v1.2 --store /shared/store",
        "edgekit sweep sweep.toml --on ray://head:10001 --store s3://bucket/store",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--on", default="local", show_default=True, metavar="WHERE", help="local, ray, or ray://HOST:PORT of a cluster."
)
@STORE
@click.option("--tag", default="latest", show_default=True, metavar="NAME", help="What to call it: a release.")
@click.option("--workers", type=click.IntRange(1), help="Processes on this machine; one for each core if not given.")
@verb
def sweep(progress: Progress, *, file: Path, on: str, store: str, tag: str, workers: int | None) -> Answer:
    """Build every cell of FILE: its projects times targets times schemes times settings.

    What the store has a result of is not done again: a sweep that was stopped goes on where it was. A cell whose worker
    is lost is tried again; one that fails is named at the end, and the others go on.
    """
    from edgekit.pipeline.sweeping.sweep import sweep as run
    from edgekit.render import sweeping

    done = run(file, on=on, store=store, tag=tag, workers=workers, progress=progress)
    return Answer(
        data=sweeping.swept_json(done, store),
        text=lambda console: sweeping.show_swept(console, done, store),
        failure=_failure(done),
    )


def _failure(done: "Swept") -> EdgeKitError | None:
    """Return the error that a sweep ends with: cells that failed, else those over their budget."""
    if done.failures:
        lines = [f"  - {one.name}: {one.reason}" for one in done.failures.values()]
        return SweepError(
            "\n".join([f"{len(lines)} cells failed:", *_shortened(lines)]),
            hint="`edgekit store ls --failed -v` shows their logs; the next sweep tries them again.",
        )
    over = [str(one.name) for one in done.results.values() if one.verdict == "failed"]
    return over_budget(_shortened(over), "`edgekit scorecard` shows by how much.") if over else None


def _shortened(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _NAMED else [*lines[:_NAMED], f"and {len(lines) - _NAMED} more"]

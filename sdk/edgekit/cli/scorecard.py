"""``edgekit scorecard``: what a sweep is worth, as a site and as a gate."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.base.progress import Progress
from edgekit.cli.gate import over_budget
from edgekit.cli.group import examples
from edgekit.cli.shell import Answer, verb
from edgekit.cli.sweep import STORE
from edgekit.errors import EdgeKitError

if TYPE_CHECKING:
    from edgekit.bundles.scorecard import Scorecard

_NAMED = 20


@click.command(
    short_help="Make a site of a sweep's results, or a gate",
    epilog=examples(
        "edgekit scorecard",
        "edgekit scorecard --since v1.1 --fail-on regression",
    ),
)
@STORE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("scorecard"),
    show_default=True,
    help="Folder of the site.",
)
@click.option("--tag", metavar="TAG", help="The sweep; the one that was started last if not given.")
@click.option("--since", metavar="TAG", help="An earlier sweep: say what became worse since then.")
@click.option(
    "--fail-on",
    type=click.Choice(["regression", "failed", "nothing"]),
    default="nothing",
    show_default=True,
    help="What exit code 20 says: something became worse, or a cell did not pass.",
)
@verb
def scorecard(
    progress: Progress, *, store: str, output: Path, tag: str | None, since: str | None, fail_on: str
) -> Answer:
    """Write a site of all results: models and targets, fronts of score and size, history, and model cards.

    With --since it lists what became worse, the surest first: only what confidence intervals tell apart.
    """
    if fail_on == "regression" and since is None:
        raise click.UsageError("--fail-on regression needs --since TAG: worse than what?")

    from edgekit.pipeline.sweeping.scorecard import scorecard as write
    from edgekit.render import sweeping

    card = write(store, output, tag=tag, since=since)
    return Answer(
        data={**card.model_dump(mode="json", exclude={"scores": {"__all__": {"entries"}}}), "site": str(output)},
        text=lambda console: sweeping.show_scorecard(console, card, output / "index.html"),
        failure=_failure(card, fail_on),
    )


def _failure(card: "Scorecard", fail_on: str) -> EdgeKitError | None:
    lines: list[str] = []
    if fail_on == "regression":
        lines = [f"{one.name} {one.artifact or ''}: {one.what} {one.old} to {one.new}" for one in card.regressions]
    elif fail_on == "failed":
        lines = [f"{one.name}: {one.verdict}" for one in card.scores if one.verdict in ("failed", "missing")]
    if not lines:
        return None
    more = [f"and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return over_budget([*lines[:_NAMED], *more], "The site shows each with its report.")

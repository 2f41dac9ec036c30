"""``edgekit report``: the page of a bundle, or one page of many."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, Answer, verb


@click.command(
    short_help="Show a bundle's page, or make one page of many",
    epilog=examples(
        "edgekit report --open",
        "edgekit report artifacts/digits/android-arm64 --open",
        "edgekit report artifacts/*/* --output all.html --open",
    ),
)
@click.argument("bundles", metavar="[BUNDLE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PAGE",
    help="Write one page (HTML) of all bundles: a table, and how good each is against its size and latency.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@FOLDER
@verb
def report(
    progress: Progress, *, bundles: tuple[Path, ...], output: Path | None, opens: bool, folder: Path | None
) -> Answer:
    """Say where the page of BUNDLE is; of several bundles write one page with --output.

    Without a BUNDLE it is the one that was built last in the project or in this folder.
    """
    if len(bundles) > 1 and output is None:
        raise click.UsageError("One page of several bundles needs a file: give --output PAGE.html.")

    from edgekit.pipeline import reporting
    from edgekit.spec.find import find

    if not bundles:
        opened = find(folder, strict=False)
        roots = {Path(): None} if opened.is_sample else {Path(): None, opened.root: None}
        bundles = (reporting.newest(tuple(roots)),)
    page = reporting.report(bundles, output)
    shown = click.launch(page.resolve().as_uri()) == 0 if opens else None
    told = "" if shown is not False else "; no browser was found to open it in"
    return Answer(
        data={"page": str(page), "bundles": [str(one) for one in bundles], "opened": shown},
        text=lambda console: console.print(f"{page}{told}", soft_wrap=True),
    )

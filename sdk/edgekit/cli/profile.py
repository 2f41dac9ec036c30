"""``edgekit profile``: where the accuracy of a bundle goes, and what its artifacts cost."""

from pathlib import Path

import click

from edgekit.cli.shell import FOLDER, Answer, verb
from edgekit.progress import Progress


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.option("--target", metavar="NAME", help="The bundle's target, if it is a profile of your own: its TOML file.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; if not given, profile.json in the bundle, and its report.html anew.",
)
@click.option("--no-cache", is_flag=True, help="Lower everything anew, and keep nothing of it in the cache.")
@FOLDER
@verb
def profile(
    progress: Progress, *, bundle: Path, target: str | None, output: Path | None, no_cache: bool, folder: Path
) -> Answer:
    """Measure which layers of BUNDLE cost accuracy, and what its artifacts cost.

    The model is quantized again from the project, and must give the bundle's own artifacts.
    """
    from edgekit import bundle as bundles

    manifest = bundles.read(bundle)  # what is no bundle is told before torch is imported

    from edgekit import atomic, cache, job, project
    from edgekit.profiling import measure
    from edgekit.render import json
    from edgekit.render.page import build as page
    from edgekit.render.profile import show_profile

    store = None if no_cache else cache.from_environment()
    opened = project.find(folder)
    found = measure.profile(bundle, lambda: job.of_project(opened), progress, target=target, cache=store)
    if output is None:
        path = bundles.add_profile(bundle, found, page.of_bundle(manifest, found))
    else:
        path = output
        atomic.replace_file(path, found.to_json().encode())
    return Answer(
        data=json.profile(found, path),
        text=lambda console: show_profile(console, found, str(path)),
    )

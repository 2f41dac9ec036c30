"""``edgekit drop``: a bundle into an app."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, Answer, verb


@click.command(
    short_help="Copy a bundle into an app, and check it there",
    epilog=examples(
        "edgekit drop android-demo",
        "edgekit drop MyApp/app --bundle artifacts/digits/android-arm64",
    ),
)
@click.argument("app", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Bundle to copy; artifacts/<model>/<target> if not given.",
)
@click.option(
    "-t", "--target", metavar="NAME", help="Target whose bundle to copy; android-arm64 or ios-arm64 if not given."
)
@click.option("--force", is_flag=True, help="Copy a bundle that is over its budget, too.")
@FOLDER
@verb
def drop(
    progress: Progress, *, app: Path, bundle: Path | None, target: str | None, force: bool, folder: Path | None
) -> Answer:
    """Copy a bundle into APP, check it there, and pin the app's runtimes.

    APP is android-demo, ios-demo, or the folder of a Gradle project, an app module, a Swift package or an Xcode
    project.
    """
    from edgekit.apps.drop import drop as put
    from edgekit.render import dropped

    done = put(app, bundle=bundle, target=target, project=folder, force=force, progress=progress)
    return Answer(data=dropped.data(done), text=lambda console: dropped.show(console, done))

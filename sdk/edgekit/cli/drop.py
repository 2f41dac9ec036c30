"""``edgekit drop``: bundles into an app."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, Answer, verb


@click.command(
    short_help="Copy bundles into an app, and check them there",
    epilog=examples(
        "edgekit drop android-demo",
        "edgekit drop MyApp/app --bundle artifacts/digits/android-arm64",
        "edgekit drop android-demo --target snapdragon-8-gen-3",
    ),
)
@click.argument("app", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    multiple=True,
    help="Bundle to copy; artifacts/<model>/<target> if not given. Repeat it for bundles for chips beside the CPU's.",
)
@click.option(
    "-t",
    "--target",
    metavar="NAME",
    multiple=True,
    help="Target whose bundle to copy; android-arm64 or ios-arm64 if not given, and beside targets for chips.",
)
@click.option("--force", is_flag=True, help="Copy bundles that are over their budget, too.")
@FOLDER
@verb
def drop(
    progress: Progress,
    *,
    app: Path,
    bundle: tuple[Path, ...],
    target: tuple[str, ...],
    force: bool,
    folder: Path | None,
) -> Answer:
    """Copy bundles into APP, check them there, and pin the app's runtimes.

    APP is android-demo, ios-demo, or the folder of a Gradle project, an app module, a Swift package or an Xcode
    project. One bundle is for the CPU; an app on a phone with a chip that another one is for takes that one.
    """
    from edgekit.apps.drop import drop as put
    from edgekit.render import dropped

    done = put(app, bundle=bundle, target=target, project=folder, force=force, progress=progress)
    return Answer(data=dropped.data(done), text=lambda console: dropped.show(console, done))

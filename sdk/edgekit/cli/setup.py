"""``edgekit targets``, ``init`` and ``doctor``: what comes before the first build. None imports torch."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.shell import Answer, verb
from edgekit.errors import ToolchainError


@click.group()
def targets() -> None:
    """Show the targets that can be built for."""


@targets.command(name="list")
@verb
def list_(progress: Progress) -> Answer:
    """List the targets."""
    from edgekit import targets as profiles
    from edgekit.render import settings

    found = tuple(profiles.load(name) for name in profiles.names())
    return Answer(
        data={"targets": [target.model_dump(mode="json") for target in found]},
        text=lambda console: settings.show_targets(console, found),
    )


@targets.command()
@click.argument("name")
@verb
def show(progress: Progress, *, name: str) -> Answer:
    """Show the profile NAME (or a profile file) in full."""
    from edgekit import targets as profiles
    from edgekit.render import settings

    target = profiles.load(name)
    return Answer(data=target.model_dump(mode="json"), text=lambda console: settings.show_target(console, target))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--sample",
    default="digits",
    show_default=True,
    metavar="NAME",
    help="What to start from: digits, efficientnet-lite0 or minilm; the last two have real weights, from packages.",
)
@verb
def init(progress: Progress, *, folder: Path, sample: str) -> Answer:
    """Start a new project in FOLDER from a sample."""
    from edgekit.render import settings
    from edgekit.spec import scaffold

    files = scaffold.init(folder, sample)
    return Answer(
        data={"folder": str(folder), "sample": sample, "files": [str(file) for file in files]},
        text=lambda console: settings.show_new_project(console, folder, files),
    )


@click.command()
@verb
def doctor(progress: Progress) -> Answer:
    """Check versions, devices and tools.

    Says what mends each thing that is wrong; exits with 12 if something that every build needs is.
    """
    from edgekit.inspection import doctor as checks
    from edgekit.render import settings

    found = checks.examine(progress)
    broken = [check.name for check in found if check.status == "fail"]
    return Answer(
        data={"passed": not broken, "checks": [check.data for check in found]},
        text=lambda console: settings.show_checks(console, found),
        failure=ToolchainError(f"not usable as it is: {', '.join(broken)}", hint="Mend what is marked with FAIL above.")
        if broken
        else None,
    )

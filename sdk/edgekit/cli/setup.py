"""``edgekit targets``, ``init`` and ``doctor``: what comes before the first build. None imports torch."""

from pathlib import Path
from typing import Any

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import Group, examples
from edgekit.cli.named import TRUST, asked, guessed, model_options
from edgekit.cli.shell import Answer, verb
from edgekit.errors import ToolchainError


@click.group(cls=Group, short_help="Show the targets that can be built for")
def targets() -> None:
    """Show the targets that can be built for."""


@targets.command(
    name="list",
    short_help="List the targets",
    epilog=examples(
        "edgekit targets list",
        "edgekit targets list --json",
    ),
)
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


@targets.command(
    short_help="Show a profile in full",
    epilog=examples("edgekit targets show android-arm64"),
)
@click.argument("name")
@verb
def show(progress: Progress, *, name: str) -> Answer:
    """Show the profile NAME (or a profile file) in full."""
    from edgekit import targets as profiles
    from edgekit.render import settings

    target = profiles.load(name)
    return Answer(data=target.model_dump(mode="json"), text=lambda console: settings.show_target(console, target))


@click.command(
    short_help="Start a project from your model or from a sample",
    epilog=examples(
        "edgekit init digits",
        "edgekit init mine --model net.py:Net --weights net.safetensors --data photos",
        "edgekit init classifier --sample efficientnet-lite0",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@model_options
@click.option(
    "--sample",
    metavar="NAME",
    help="What to start from where no model is named: digits if not given, efficientnet-lite0 or minilm; the last two "
    "have real weights, from packages.",
)
@click.option("-t", "--target", metavar="NAME", help="The target to build for next, which must be there.")
@TRUST
@verb
def init(
    progress: Progress, /, *, folder: Path, sample: str | None, target: str | None, trust_pickle: bool, **named: Any
) -> Answer:
    """Start a new project in FOLDER from a model of yours, or from a sample.

    With --model and --weights the model is run once, the data is looked at, and what they tell is written into an
    edgekit.toml in which every guess is marked. Your files stay where they are.
    """
    from edgekit import targets as profiles
    from edgekit.render import settings
    from edgekit.spec import scaffold
    from edgekit.spec.written import written

    chosen = None if target is None else profiles.load(target).name
    if (model := asked(**named, trust_pickle=trust_pickle)) is not None:
        if sample is not None:
            raise click.UsageError("--sample and --model both say what to start from: leave one of them out.")
        scaffold.free(folder)
        found = guessed(model, folder, progress, trust_pickle=trust_pickle)
        file = scaffold.write(folder, written(found.project.spec, found.guesses))
        return Answer(
            data={
                "folder": str(folder),
                "files": [str(file)],
                "guessed": [{"key": one.place, "value": one.value, "reason": one.reason} for one in found.guesses],
            },
            text=lambda console: settings.show_new_project(console, folder, (file,), chosen),
        )
    sample = sample or scaffold.NAMES[0]
    files = scaffold.init(folder, sample)
    return Answer(
        data={"folder": str(folder), "sample": sample, "files": [str(file) for file in files]},
        text=lambda console: settings.show_new_project(console, folder, files, chosen),
    )


@click.command(
    short_help="Check versions, devices and tools",
    epilog=examples("edgekit doctor"),
)
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

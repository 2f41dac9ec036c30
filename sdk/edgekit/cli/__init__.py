"""The command line: one small function per verb. Nothing heavy is imported before a verb needs it."""

import click

from edgekit import __version__
from edgekit.cli import (
    baseline,
    bisect,
    build,
    cache,
    compare,
    drop,
    finetune,
    look,
    profile,
    publish,
    report,
    scorecard,
    search,
    setup,
    store,
    sweep,
    verify,
)
from edgekit.cli.group import HELP_OPTIONS, Group, examples


@click.group(
    cls=Group,
    context_settings=HELP_OPTIONS,
    epilog=examples(
        "edgekit build --sample -t android-arm64     # the sample, in half a minute",
        "edgekit init mine --model net.py:Net --weights net.safetensors --data photos",
        "edgekit build --project mine -t android-arm64 -t ios-arm64",
        "edgekit report --open",
    ),
)
@click.version_option(__version__, "-V", "--version", prog_name="edgekit", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks and what libraries print.")
def main(debug: bool) -> None:
    """From a PyTorch model to verified int8 artifacts for phones and edge devices.

    `edgekit build --target android-arm64` quantizes the model of the project in this folder (the sample, if there is
    none), writes .pte and .onnx, and measures how far they are from the float model. Exit codes: 0 done, 2 usage,
    20 over budget; the others name the stage that failed.
    """


main.add_command(build.build)
main.add_command(compare.compare)
main.add_command(verify.verify)
main.add_command(sweep.sweep)
main.add_command(scorecard.scorecard)
main.add_command(store.store)
main.add_command(baseline.baseline)
main.add_command(profile.profile)
main.add_command(report.report)
main.add_command(bisect.bisect)
main.add_command(search.search)
main.add_command(finetune.finetune)
main.add_command(drop.drop)
main.add_command(publish.publish)
main.add_command(look.inspect)
main.add_command(look.run)
main.add_command(setup.targets)
main.add_command(setup.init)
main.add_command(setup.doctor)
main.add_command(cache.cache)

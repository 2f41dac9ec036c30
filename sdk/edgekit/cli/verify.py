"""``edgekit verify``: a bundle through the real kernels of its processor."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.base.progress import Progress
from edgekit.cli.gate import Gate, gate_options, over_budget
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, Answer, verb

if TYPE_CHECKING:
    from edgekit.apps.board.address import Address
    from edgekit.data.trace import Trace


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> "Address | None":
    if value is None:
        return None
    from edgekit.apps.board.address import parse

    try:
        return parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    short_help="Run a bundle through its processor's real kernels",
    epilog=examples(
        "edgekit verify --setup",
        "edgekit verify artifacts/digits/linux-arm64 --emulate",
        "edgekit verify artifacts/digits/linux-arm64 --device ssh:pi@raspberrypi",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--emulate", is_flag=True, help="Run the kernels of 64-bit ARM under an emulator.")
@click.option("--setup", is_flag=True, help="Set up what emulation needs, in your cache and without root, first.")
@click.option(
    "--cpu",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Model of processor, by QEMU's name: cortex-a76; repeat it for several. Unless given, the target's.",
)
@click.option(
    "--device",
    "address",
    metavar="ssh:[USER@]HOST[:PORT]",
    callback=_address,
    help="Run on a board, which your ssh reaches without asking for a password.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Keep the answers, traces for `edgekit compare`, in a new FOLDER.",
)
@click.option(
    "--baseline",
    "recorded",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Recorded baseline, whose samples are run; the project's if not given.",
)
@FOLDER
@gate_options
@verb
def verify(
    progress: Progress,
    *,
    bundle: Path | None,
    emulate: bool,
    setup: bool,
    models: tuple[str, ...],
    address: "Address | None",
    keep: Path | None,
    recorded: Path | None,
    folder: Path | None,
    junit: Path | None,
    summary: Path | None,
) -> Answer:
    """Run BUNDLE's artifacts through the native program and the real kernels of its processor.

    The answers are held against this host's and the baseline's. --setup alone prepares the emulator, once. --device
    copies the native folder to a board, runs it there, fetches the answers, and removes it.
    """
    if models and not emulate:
        raise click.UsageError("--cpu names what is emulated: give --emulate, too.")
    if bundle is None and not setup:
        raise click.UsageError("Say which BUNDLE to verify; or prepare the emulator with --setup.")
    if address is not None and (emulate or setup):
        raise click.UsageError(
            "--device runs on a board, --emulate and --setup are for this machine: give one of them."
        )
    if keep is not None and keep.exists():
        raise click.UsageError(f"--keep {keep}: there is such a file or folder already.")
    kit = None
    if setup:
        from edgekit.apps.emulation.setup import set_up

        kit = set_up(progress)
    if bundle is None:
        return Answer(data={"kit": str(kit)}, text=lambda console: console.print(f"Ready: {kit}", soft_wrap=True))
    gate = Gate.asked(junit, summary)
    reference = _reference(bundle, recorded, folder)

    from edgekit.base import cache as caches
    from edgekit.bundles import verdict
    from edgekit.bundles.verified import BOARD_FILE, EMULATED_FILE
    from edgekit.pipeline import emulate as emulation
    from edgekit.pipeline.measured import add
    from edgekit.render import cases, markdown
    from edgekit.render.verified import show_verified

    store = caches.for_builds()
    measured = emulation.verify(
        bundle, reference, progress, emulate=emulate, models=models, address=address, cache=store
    )
    found = measured.verified
    if keep is not None:
        _keep(measured.traces, keep)
    suite = cases.of_drift(str(bundle), found.drift)
    text, unwritten = gate.write(
        (suite,),
        markdown.of_build([(suite, found.drift)]),
        lambda console: show_verified(console, found, str(bundle)),
    )
    file, sha256 = EMULATED_FILE if address is None else BOARD_FILE, found.manifest_sha256
    place = add(bundle, file, found.to_json(), sha256, verified={file.removesuffix(".json"): found})
    return Answer(
        data={"file": str(place), "verified": found.model_dump(mode="json")},
        text=text,
        unwritten=unwritten,
        failure=None if found.drift.within_budget else over_budget(list(verdict.of_drift(found.drift))),
    )


def _keep(traces: "Mapping[tuple[str, str], Trace]", folder: Path) -> None:
    """Write each trace as ARTIFACT.npz; with a number where several machines ran it."""
    from edgekit.data import trace

    seen: dict[str, int] = {}
    for (file, _), found in traces.items():
        seen[file] = number = seen.get(file, 0) + 1
        trace.save(found, folder / f"{file}{f'.{number}' if number > 1 else ''}.npz")


def _reference(bundle: Path, recorded: Path | None, folder: Path | None) -> "Trace | None":
    """Return the baseline of the bundle's model; None where there is none."""
    from edgekit import bundles
    from edgekit.data import trace
    from edgekit.spec.find import find

    manifest = bundles.read(bundle)
    if recorded is not None:
        return trace.load(recorded)
    baseline = find(folder, strict=False).baseline
    if not baseline.is_file():
        return None
    found = trace.load(baseline)
    return found if found.origin.model == manifest.model.weights_sha256 else None

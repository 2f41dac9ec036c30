"""``edgekit profile``: where the accuracy of a bundle goes, and what its artifacts cost, here and on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.base.progress import Progress
from edgekit.cli.gate import over_budget
from edgekit.cli.group import examples
from edgekit.cli.shell import FOLDER, MEMORY, Answer, verb
from edgekit.errors import EdgeKitError, RunError

if TYPE_CHECKING:
    from edgekit.bundles.device_profile import DeviceProfile

_TIMEOUT_S = 300.0


def _serial(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Take ``adb`` or ``adb:SERIAL``; the serial number of a phone on Wi-Fi has colons of its own."""
    if value is not None and (value.partition(":")[0] != "adb" or value == "adb:"):
        raise click.BadParameter(f"{value} is neither adb nor adb:SERIAL.")
    return value


@click.command(
    short_help="Measure which layers cost accuracy, and the latency",
    epilog=examples(
        "edgekit profile artifacts/digits/android-arm64",
        "edgekit profile artifacts/digits/android-arm64 --steps",
        "edgekit profile artifacts/digits/android-arm64 --device adb",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--device",
    metavar="adb[:SERIAL]",
    callback=_serial,
    help="Measure on an Android phone with the demo app, and nothing here.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help=f"With --device: how long to wait for the phone; {_TIMEOUT_S:g} if not given.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="With --device: keep what the app wrote, traces for `edgekit compare`, in a new FOLDER.",
)
@click.option(
    "-t", "--target", metavar="NAME", help="The bundle's target, if it is a profile of your own: its TOML file."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; if not given, profile.json (with --device: device.json) in the bundle, and report.html anew.",
)
@click.option(
    "--steps",
    is_flag=True,
    help="Measure what each step of the quantizer gives on unseen samples, too; takes a quantization for each.",
)
@click.option("--no-cache", is_flag=True, help="Lower everything anew, and keep nothing of it in the cache.")
@FOLDER
@MEMORY
@verb
def profile(
    progress: Progress,
    *,
    bundle: Path,
    device: str | None,
    timeout: float | None,
    keep: Path | None,
    target: str | None,
    output: Path | None,
    steps: bool,
    no_cache: bool,
    folder: Path | None,
    memory: int | None,
) -> Answer:
    """Measure which layers of BUNDLE cost accuracy, and what its artifacts cost.

    The model is quantized again from the project, and must give the bundle's own artifacts. With --device the demo app
    on a phone, which must hold BUNDLE, tests itself, and its drift and times are shown.
    """
    if device is not None:
        if target is not None or no_cache or steps or memory is not None:
            raise click.UsageError(
                "--target, --memory, --steps and --no-cache are for profiling on this machine, not with --device."
            )
        if keep is not None and keep.exists():
            raise click.UsageError(f"--keep {keep}: there is such a file or folder already.")
        return _on_phone(progress, bundle, device.partition(":")[2] or None, timeout or _TIMEOUT_S, keep, output)
    if timeout is not None or keep is not None:
        raise click.UsageError("--timeout and --keep go with --device.")

    from edgekit import bundles

    bundles.read(bundle)  # what is no bundle is told before torch is imported

    from edgekit.base import cache
    from edgekit.bundles.profile import PROFILE_FILE
    from edgekit.pipeline import job
    from edgekit.pipeline.measured import add
    from edgekit.pipeline.profiling import measure
    from edgekit.render import json
    from edgekit.render.profile import show_profile
    from edgekit.spec.find import find

    store = None if no_cache else cache.for_builds()
    opened = find(folder, strict=False).with_memory(memory)
    found = measure.profile(bundle, lambda: job.of_project(opened), progress, target=target, cache=store, steps=steps)
    text = found.to_json()
    path = _written(output, text, lambda: add(bundle, PROFILE_FILE, text, found.manifest_sha256, profile=found))
    return Answer(
        data=json.profile(found, path),
        text=lambda console: show_profile(console, found, str(path)),
    )


def _on_phone(
    progress: Progress, bundle: Path, serial: str | None, timeout: float, keep: Path | None, output: Path | None
) -> Answer:
    from edgekit import bundles

    bundles.read(bundle)

    from edgekit.apps.phone import trip
    from edgekit.bundles import profile as profiles
    from edgekit.bundles.device_profile import DEVICE_FILE
    from edgekit.pipeline.measured import add
    from edgekit.render import json
    from edgekit.render.device import failures, show_device

    found = trip.profile(bundle, serial, progress, timeout=timeout, keep=keep)
    text = found.to_json()
    path = _written(output, text, lambda: add(bundle, DEVICE_FILE, text, found.manifest_sha256, device=found))
    host = profiles.of_bundle(bundle, found.manifest_sha256)
    return Answer(
        data=json.device(found, path),
        text=lambda console: show_device(console, found, host, str(path)),
        failure=_failure(found, failures(found)),
    )


def _failure(found: "DeviceProfile", failures: list[str]) -> EdgeKitError | None:
    if found.verdict == "passed":
        return None
    if not found.drift.within_budget and not found.broken:
        return over_budget(failures)
    return RunError(
        f"The self-test on {found.device.name} failed:\n" + "\n".join(f"  - {line}" for line in failures),
        hint="The app's screen says the same, and what to do about it.",
    )


def _written(output: Path | None, text: str, add: Callable[[], Path]) -> Path:
    """Write what was measured to a file, or into the bundle with a page that shows what else was."""
    if output is None:
        return add()
    from edgekit.base import atomic

    atomic.replace_file(output, text.encode())
    return output

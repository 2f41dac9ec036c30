"""The round trip to an Android phone: start the demo app's self-test, fetch and judge its results."""

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit.apps import device
from edgekit.apps.device import OpenBundle
from edgekit.apps.phone import adb, selftest
from edgekit.apps.phone.adb import Done, Phone
from edgekit.apps.phone.selftest import SELFTEST_FILE, SelfTest, Tested
from edgekit.base import digest
from edgekit.base.progress import Progress, Stages
from edgekit.bundles.device_profile import DeviceCost, DeviceInfo, DeviceProfile
from edgekit.bundles.manifest import MANIFEST_FILE
from edgekit.data import trace
from edgekit.drift.report import DriftReport
from edgekit.errors import BundleError, RunError, ToolchainError

APP = "org.edgekit.demo"
ACTIVITY = f"{APP}/.SelfTestActivity"
RESULTS = f"/sdcard/Android/data/{APP}/files/selftest"

_POLL_S = 0.5
# A process is not there at once, and may be gone a moment before its files are seen.
_GONE_POLLS = 6
_AGREE = 1e-6
_DEMO = "Put this bundle into the app with edgekit drop android-demo, build it, and install it."


def profile(
    folder: Path, serial: str | None, progress: Progress, *, timeout: float, keep: Path | None = None
) -> DeviceProfile:
    """Run the self-test of the demo app on a phone and measure what came of it.

    Args:
        folder: The bundle, which must be the one in the app.
        serial: The phone's serial number; None takes the only one.
        progress: Told about every stage.
        timeout: Seconds to wait for the result.
        keep: Where to keep what the app wrote; must not exist.

    Raises:
        ToolchainError: If adb is missing, or the phone is not ready.
        RunError: If the app is not there, does not finish, or cannot run the test.
        BundleError: If the bundle is damaged, or another one is in the app.
        DataError: If what the app wrote does not fit the bundle.
    """
    stages = Stages(progress)
    opened = device.open_bundle(folder)
    with stages("find phone") as detail:
        phone = adb.find(serial)
        detail.append(f"{phone.model or 'a phone'}, {phone.serial}")
    with stages("start self-test"):
        _start(phone)
    with stages("wait for the result"):
        _wait(phone, timeout)
    with stages("fetch") as detail, tempfile.TemporaryDirectory() as scratch:
        here = keep or Path(scratch) / "selftest"
        phone.pull(RESULTS, here)
        file = here / SELFTEST_FILE
        if not file.is_file():
            raise RunError(f"{RESULTS} on the phone came without {SELFTEST_FILE}.", hint="Try once more.")
        said = selftest.parse(file.read_text(encoding="utf-8", errors="replace"), where=file.name)
        detail.append(f"{said.device.name}, {said.device.os}")
        return of_selftest(opened, said, here)


def of_selftest(opened: OpenBundle, said: SelfTest, folder: Path) -> DeviceProfile:
    """Return what a self-test has shown, measured anew from the traces in its folder.

    Raises:
        RunError: If the app could run nothing.
        BundleError: If another bundle is in the app, or a trace is missing or of another artifact.
        DataError: If a trace is of other inputs.
    """
    _check_bundle(opened, said)
    if said.failure is not None or not any(one.legs for one in said.artifacts):
        reasons = [said.reason, *(f"{one.file}: {one.reason}" for one in said.artifacts if one.reason)]
        codes = {one for one in (said.failure, *(one.failure for one in said.artifacts)) if one}
        raise RunError(
            f"The self-test on {said.device.name} ran nothing: {'; '.join(filter(None, reasons)) or 'without a reason'}"
            + (f" ({', '.join(sorted(codes))})." if codes else "."),
            hint=_DEMO if codes & {"wrong_sha256"} else "The app's screen says the same, and what to do about it.",
        )
    drift = device.report(opened, [trace.load(folder / _trace_of(one)) for one in said.artifacts if one.legs])
    return DeviceProfile(
        model=opened.manifest.model.name,
        target=opened.manifest.target.name,
        manifest_sha256=digest.of_file(opened.folder / MANIFEST_FILE),
        device=DeviceInfo(**said.device.model_dump()),
        app=said.app,
        verdict="passed" if drift.within_budget and said.verdict == "passed" else "failed",
        drift=drift,
        artifacts=tuple(map(_cost, said.artifacts)),
        warnings=(*_fell_back(said), *_unrun(said), *_elsewhere(said), *_disagreements(said, drift)),
    )


def _start(phone: Phone) -> None:
    """Start the self-test; what an earlier one has written is removed, so that the result is this one's."""
    if "package:" not in phone.shell(f"pm path {APP}").out:
        raise RunError(f"The app {APP} is not installed on the phone {phone.serial}.", hint=_DEMO)
    # An app that runs already would be handed the request, and might not look at it.
    phone.shell(f"am force-stop {APP}")
    phone.shell(f"rm -rf {RESULTS}")
    if _state(phone) == "done":
        raise ToolchainError(
            f"adb cannot remove {RESULTS} on the phone: an old result would be taken for a new one.",
            hint=f"Remove it by hand, or: adb shell pm clear {APP}",
        )
    started = phone.shell(f"am start -W -n {ACTIVITY} --ez selftest true")
    if fault := _fault(started):
        raise RunError(
            f"The self-test does not start on the phone {phone.serial}: {fault}",
            hint=_DEMO if "does not exist" in started.said else "Unlock the phone, and start the app by hand once.",
        )


def _fault(started: Done) -> str:
    """Return why an activity was not started, or nothing: before Android 10 the exit code does not tell."""
    lines = [line.strip() for line in started.said.splitlines()]
    found = [line for line in lines if line.startswith("Error") or "Exception" in line or line.startswith("Status: ")]
    found = [line for line in found if line not in ("Status: ok", "Status: timeout")]
    if found:
        return max(found, key=lambda line: "Exception:" in line or line.startswith("Error: "))  # others say less
    return next(filter(None, lines), "am says nothing") if started.code != 0 else ""


def _wait(phone: Phone, timeout: float) -> None:
    end, gone = time.monotonic() + timeout, 0
    while (state := _state(phone)) != "done":
        gone = gone + 1 if state == "gone" else 0
        if gone >= _GONE_POLLS:
            raise RunError(
                "The app ended on the phone and left no result.",
                hint="See why: adb logcat -d -b crash",
            )
        if time.monotonic() > end:
            raise RunError(
                f"The self-test has not finished within {timeout:g} s.",
                hint="Keep the phone unlocked and its screen on, or wait longer: --timeout SECONDS",
            )
        time.sleep(_POLL_S)


def _state(phone: Phone) -> str:
    """Return ``done``, ``running`` or ``gone``."""
    command = (
        f"if [ -f {RESULTS}/{SELFTEST_FILE} ]; then echo done; "
        f"elif pidof {APP} >/dev/null; then echo running; else echo gone; fi"
    )
    return phone.shell(command).out.strip()


def _check_bundle(opened: OpenBundle, said: SelfTest) -> None:
    """Make sure that the app ran this bundle: its model and target, and the very bytes of its artifacts."""
    manifest, faults = opened.manifest, []
    if said.model is not None and said.model.weights_sha256 != manifest.model.weights_sha256:
        faults.append(f"its model is {said.model.name} with other weights than {manifest.model.name} here")
    if said.target is not None and said.target != manifest.target.name:
        faults.append(f"its target is {said.target}, not {manifest.target.name}")
    faults += [f"it fell back: {one.reason}" for one in said.fell_back if one.target == manifest.target.name]
    wanted = {info.file: info.sha256 for info in manifest.artifacts}
    there = {one.file: one for one in said.artifacts}
    if there and there.keys() != wanted.keys():
        faults.append(f"it holds {', '.join(there)}, not {', '.join(wanted)}")
    # Of a file that is not what the app's own manifest says the app tells itself.
    known = {name: one for name, one in there.items() if one.failure != "wrong_sha256"}
    changed = [name for name, one in known.items() if wanted.get(name, one.sha256) != one.sha256]
    if changed:
        faults.append(f"it has another {' and '.join(changed)}")
    if faults:
        raise BundleError(
            f"The app on the phone holds another bundle than {opened.folder}: {'; '.join(faults)}.",
            hint=f"{_DEMO[:-1]}, or name the bundle that it has.",
        )


def _cost(one: Tested) -> DeviceCost:
    values = one.model_dump(include=set(DeviceCost.model_fields))
    return DeviceCost(artifact=one.file, **values)


def _trace_of(one: Tested) -> str:
    """Return the file that the app writes an artifact's outputs to."""
    return f"{one.file.replace('/', '_')}.npz"


def _unrun(said: SelfTest) -> Iterator[str]:
    for one in said.artifacts:
        if one.status != "passed" and not (one.status == "failed" and one.legs and one.failure is None):
            code = f" ({one.failure})" if one.failure else ""
            yield f"{one.file} was {one.status}: {one.reason or 'the app gives no reason'}{code}"


def _fell_back(said: SelfTest) -> Iterator[str]:
    for one in said.fell_back:
        yield f"The phone fell back from the bundle for {one.target} ({one.chip}): {one.reason}"


def _elsewhere(said: SelfTest) -> Iterator[str]:
    for one in said.artifacts:
        if one.elsewhere:
            yield f"{one.file}: {one.provider} left to another provider: {', '.join(one.elsewhere)}"


def _disagreements(said: SelfTest, drift: DriftReport) -> Iterator[str]:
    """Yield where the app's own metrics and EdgeKit's, of the same outputs, are not the same."""
    ours = {(leg.artifact, leg.name, leg.output): leg for leg in drift.legs}
    for one in said.artifacts:
        for leg in one.legs:
            found = ours.get((one.file, leg.leg, leg.output))
            if found is None:
                continue
            values = found.metrics.model_dump(exclude={"custom"})
            wrong = [name for name, value in leg.metrics.items() if name in values and not _same(value, values[name])]
            if wrong:
                yield f"The app and EdgeKit disagree about {', '.join(wrong)} of {one.file} in the leg {leg.leg}."


def _same(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else math.isclose(one, other, rel_tol=_AGREE, abs_tol=_AGREE)

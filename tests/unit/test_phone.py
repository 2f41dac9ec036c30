"""The round trip to a phone, in all the ways in which it fails. The phone is a folder behind a real executable adb."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from edgekit import bundles
from edgekit.apps import device
from edgekit.apps.phone import adb, selftest, trip
from edgekit.apps.phone.adb import listed
from edgekit.base import digest
from edgekit.bundles import device_profile
from edgekit.bundles.device_profile import DeviceProfile
from edgekit.errors import BundleError, ToolchainError
from edgekit.render.page import build as page
from tests import pages
from tests.unit import devices, phones, profiles
from tests.unit.phones import FakePhone
from tests.unit.test_cli import error_of, run

TRACES = {file: devices.on_device(file) for file in devices.FILES}


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePhone:
    """A phone whose app holds the bundle in the folder ``bundle``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "130")
    devices.write_bundle(tmp_path / "bundle")
    made = phones.make(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{made.path}{os.pathsep}{os.environ['PATH']}")
    made.answers(devices.selftest(device.open_bundle(tmp_path / "bundle"), TRACES), TRACES)
    return made


def said(**changes: Any) -> dict[str, Any]:
    """Return what the app writes, with changes."""
    return devices.selftest(device.open_bundle(Path("bundle")), TRACES, **changes)


def failure(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the round trip and return exit code, message and hint of its failure."""
    code, out, _ = run(capfd, "profile", "bundle", "--device", "adb", "--json", *arguments)
    error = error_of(out)
    return code, error["message"], error["hint"]


def test_the_round_trip(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """Drift in both legs, times, device; saved in the bundle, shown on its page, and found again."""
    phone.results.mkdir(parents=True)
    (phone.results / "selftest.json").write_text("an old result", encoding="utf-8")
    code, out, err = run(capfd, "profile", "bundle", "--device", "adb")
    assert code == 0, err
    for needed in (
        "Pixel 8",
        "Tensor G3",
        "device pte",
        "total onnx",
        "0.625",
        "0.875",
        "host's times are not",
        "PASSED",
    ):
        assert needed in out
    found = DeviceProfile.model_validate_json(Path("bundle/device.json").read_text("utf-8"))
    assert {(leg.name, leg.artifact) for leg in found.drift.legs} == {
        (name, file) for name in ("device", "total") for file in devices.FILES
    }
    assert found.warnings == ()
    assert device_profile.of_bundle(Path("bundle"), found.manifest_sha256) == found
    assert device_profile.of_bundle(Path("bundle"), "0" * 64) is None
    assert "Tensor G3" in Path("bundle/report.html").read_text("utf-8")
    shell = [line for line in phone.log if " shell " in line]
    assert shell[0].startswith("-s 39181FDJH0012A shell pm path org.edgekit.demo")
    assert "-s 39181FDJH0012A shell am start -W -n org.edgekit.demo/.SelfTestActivity --ez selftest true" in shell


def test_the_round_trip_as_json(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """The same names as in the file; what the app wrote can be kept, and compares."""
    code, out, _ = run(capfd, "profile", "bundle", "--device", "adb", "--json", "--output", "d.json", "--keep", "kept")
    answer = json.loads(out)
    assert (code, answer["passed"], answer["file"]) == (0, True, "d.json")
    assert answer["device"] == json.loads(Path("d.json").read_text("utf-8"))
    assert answer["device"]["artifacts"][0]["p95_ms"] == 0.875
    assert not Path("bundle/device.json").exists()
    assert run(capfd, "compare", "kept/model.onnx.npz", "--bundle", "bundle")[0] == 0


def test_a_phone_that_computes_something_else(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """The negative twin: over budget, exit code 20, and the result is saved all the same."""
    wrong = {**TRACES, "model.pte": devices.on_device(off=30)}
    phone.answers(devices.selftest(device.open_bundle(Path("bundle")), wrong), wrong)
    code, message, _ = failure(capfd)
    assert code == 20
    assert "device model.pte: sqnr_db" in message
    assert "model.onnx" not in message
    assert json.loads(Path("bundle/device.json").read_text("utf-8"))["verdict"] == "failed"


def test_an_app_that_measures_otherwise_is_told_of(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """The numbers are EdgeKit's own; the app's, of the same outputs, should be the same."""
    changed = said()
    changed["artifacts"][1]["legs"][1]["metrics"]["cosine"] = 0.5
    phone.answers(changed, TRACES)
    code, out, _ = run(capfd, "profile", "bundle", "--device", "adb", "--json")
    assert code == 0
    assert json.loads(out)["device"]["warnings"] == [
        "The app and EdgeKit disagree about cosine of model.onnx in the leg total."
    ]


def test_what_a_phone_fell_back_from_is_told(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """A phone that has a chip and does not use it looks fine by its numbers; so does a node on another processor."""
    fell = [{"target": "snapdragon-8-gen-3", "chip": "hexagon", "reason": "model.onnx does not load: no library."}]
    changed = said(chip="cpu", fell_back=fell)
    changed["artifacts"][1] |= {"provider": "QNNExecutionProvider", "elsewhere": ["Add (head.add)"]}
    phone.answers(changed, TRACES)
    code, out, _ = run(capfd, "profile", "bundle", "--device", "adb", "--json")
    assert code == 0
    assert json.loads(out)["device"]["warnings"] == [
        "The phone fell back from the bundle for snapdragon-8-gen-3 (hexagon): model.onnx does not load: no library.",
        "model.onnx: QNNExecutionProvider left to another provider: Add (head.add)",
    ]


def test_a_bundle_that_the_phone_fell_back_from_is_not_profiled(
    phone: FakePhone, capfd: pytest.CaptureFixture[str]
) -> None:
    """What ran is another one; the reason is the phone's own."""
    fell = [{"target": "android-arm64", "chip": "hexagon", "reason": "model.onnx does not load: no library."}]
    phone.answers(said(target="other", fell_back=fell), TRACES)
    code, message, _ = failure(capfd)
    assert code == BundleError.exit_code
    assert "its target is other, not android-arm64; it fell back: model.onnx does not load: no library." in message


def test_skipped_and_broken_artifacts(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """One without a runtime is no failure and is told of; one that a runtime refuses is a failure."""
    one = {"model.pte": TRACES["model.pte"]}
    skipped = devices.selftest(device.open_bundle(Path("bundle")), one)
    phone.answers(skipped, one)
    code, out, _ = run(capfd, "profile", "bundle", "--device", "adb", "--json")
    assert code == 0
    assert json.loads(out)["device"]["warnings"] == [
        "model.onnx was skipped: model.onnx cannot be run: this app has no runtime for onnx files. (no_runtime)"
    ]
    skipped["artifacts"][1] |= {"status": "failed", "reason": "error 0x20", "failure": "load_failed"}
    phone.answers({**skipped, "verdict": "failed"}, one)
    code, message, _ = failure(capfd)
    assert code == 10
    assert "model.onnx: error 0x20 (load_failed)" in message


def test_an_app_that_ran_nothing(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """Its own words and code are told."""
    phone.answers(
        said(
            artifacts=[],
            model=None,
            target=None,
            verdict="failed",
            reason="bundle.json is missing",
            failure="no_bundle",
        ),
        {},
    )
    code, message, _ = failure(capfd)
    assert code == 10
    assert message == "The self-test on Google Pixel 8 ran nothing: bundle.json is missing (no_bundle)."


def test_another_bundle_in_the_app(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """By weights, target, files, and the bytes of an artifact."""
    for changes, words in (
        ({"model": {"name": "other", "weights_sha256": "f" * 64}}, "its model is other with other weights"),
        ({"target": "linux-arm64"}, "its target is linux-arm64, not android-arm64"),
        ({"artifacts": said()["artifacts"][:1]}, "it holds model.pte, not model.pte, model.onnx"),
        ({"artifacts": [{**said()["artifacts"][0], "sha256": "f" * 64}, said()["artifacts"][1]]}, "another model.pte"),
    ):
        phone.answers(said(**changes), TRACES)
        code, message, hint = failure(capfd)
        assert (code, "holds another bundle" in message, words in message) == (11, True, True), message
        assert "android-demo" in hint
    assert not Path("bundle/device.json").exists()


def test_a_damaged_artifact_in_the_app(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """The app has refused to load it; that is said, and not that it holds another bundle."""
    broken = [
        {**one, "sha256": "f" * 64, "status": "failed", "legs": [], "reason": "was changed", "failure": "wrong_sha256"}
        for one in said()["artifacts"]
    ]
    phone.answers(said(artifacts=broken, verdict="failed"), {})
    code, message, hint = failure(capfd)
    assert (code, "ran nothing: model.pte: was changed" in message) == (10, True)
    assert "android-demo" in hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not the result of a self-test"),
        ("[]", "not the result of a self-test"),
        ('{"version": 2}', "an app of another version: format 2, where this EdgeKit reads 1"),
        ('{"version": 1, "verdict": "passed"}', "\n  - device: Field required"),
    ],
)
def test_results_that_cannot_be_read(text: str, words: str) -> None:
    """Each says what it is, and to take the app of this version."""
    with pytest.raises(BundleError) as caught:
        selftest.parse(text, where="selftest.json")
    assert words in caught.value.message
    assert "demo app" in caught.value.hint


def test_keys_of_later_apps_are_left_aside(phone: FakePhone) -> None:
    """What is added to the format does not break it."""
    assert selftest.parse(json.dumps({**said(), "battery": 0.9}), where="x").device.soc == "Tensor G3"


def test_no_adb(phone: FakePhone, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The hint is the command that installs it."""
    monkeypatch.setenv("PATH", "/nowhere")
    code, message, hint = failure(capfd)
    assert (code, message) == (12, "There is no adb on the PATH.")
    assert "install" in hint


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        ((), "adb finds no phone.", "USB debugging"),
        ((phones.UNAUTHORIZED,), "R3CR90XXXXXX has not authorized this computer", "allow USB debugging"),
        ((phones.READY.replace("device usb", "offline usb"),), "does not answer: it is offline", "adb reconnect"),
        (("082f5927  no permissions (missing udev rules? user is in the plugdev group); see [http://x] usb:1-1",),
         "082f5927 may not be opened by this user", "udev"),
        (("082f5927  recovery usb:1-1 transport_id:1",), "in the state recovery", "adb reboot"),
        ((phones.READY, phones.OTHER),
         "several phones:\n  - 39181FDJH0012A Pixel 8 (device)\n  - 192.168.1.20:5555 SM A528N",
         "--device adb:39181FDJH0012A"),
    ],
)  # fmt: skip
def test_phones_that_are_not_ready(
    phone: FakePhone, capfd: pytest.CaptureFixture[str], lines: tuple[str, ...], message: str, hint: str
) -> None:
    """Each state has its own words and way out."""
    phone.lists(*lines)
    code, found, way_out = failure(capfd)
    assert code == 12
    assert message in found
    assert hint in way_out


def test_one_of_several_phones(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """By its serial number, colons included; one that is not ready is no choice unless it is named."""
    phone.lists(phones.OTHER, phones.READY, phones.UNAUTHORIZED)
    assert run(capfd, "profile", "bundle", "--device", "adb:192.168.1.20:5555")[0] == 0
    assert any(line.startswith("-s 192.168.1.20:5555 shell") for line in phone.log)
    with pytest.raises(ToolchainError, match="R3CR90XXXXXX has not authorized"):
        adb.find("R3CR90XXXXXX")
    with pytest.raises(ToolchainError, match=r"serial number ABC. There is:\n  - 192.168.1.20:5555"):
        adb.find("ABC")
    phone.lists(phones.UNAUTHORIZED, phones.READY)
    assert adb.find().serial == "39181FDJH0012A"


def test_what_adb_lists_is_read() -> None:
    """With the words of a server that starts, tabs of the short form, and names with blanks."""
    text = (
        "* daemon not running; starting now at tcp:5037\n* daemon started successfully\nList of devices attached\n"
        "emulator-5554\tdevice\n"
        "adb-39181FDJH0012A-x1 (2)._adb-tls-connect._tcp device product:shiba model:Pixel_8 device:shiba\n"
        "????????????           no permissions; see [http://developer.android.com/tools/device.html]\n\n"
    )
    assert [(one.serial, one.state, one.model) for one in listed(text)] == [
        ("emulator-5554", "device", ""),
        ("adb-39181FDJH0012A-x1 (2)._adb-tls-connect._tcp", "device", "Pixel 8"),
        ("????????????", "no permissions", ""),
    ]
    assert listed("") == ()


def test_the_app_is_not_installed(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """Found before anything is started."""
    (phone.root / "installed").unlink()
    code, message, hint = failure(capfd)
    assert (code, "is not installed" in message, "android-demo" in hint) == (10, True, True)
    assert not any("am start" in line for line in phone.log)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("Starting: Intent {}\nError type 3\nError: Activity class "
         "{org.edgekit.demo/org.edgekit.demo.SelfTestActivity} does not exist.\n", "Error: Activity class"),
        ("\nException occurred while executing 'start':\njava.lang.SecurityException: Permission Denial: starting\n",
         "SecurityException: Permission Denial"),
    ],
)  # fmt: skip
def test_the_self_test_does_not_start(
    phone: FakePhone, capfd: pytest.CaptureFixture[str], says: str, words: str
) -> None:
    """An app without the activity, or one that may not be started; am's exit code is 0 on older phones."""
    (phone.root / "am").write_text(says, encoding="utf-8")
    code, message, _ = failure(capfd)
    assert (code, words in message) == (10, True), message


def test_the_self_test_does_not_finish(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """An app that runs and runs, and one that dies."""
    for file in (phone.root / "answer").iterdir():
        file.unlink()
    (phone.root / "answer").rmdir()
    (phone.root / "stays").touch()
    code, message, hint = failure(capfd, "--timeout", "0.7")
    assert (code, message) == (10, "The self-test has not finished within 0.7 s.")
    assert "--timeout" in hint
    (phone.root / "stays").unlink()
    code, message, hint = failure(capfd)
    assert (code, "left no result" in message, "logcat" in hint) == (10, True, True)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("error: device '39181FDJH0012A' not found", "has gone"),
        ("adb: error: failed to get feature set: device '39181FDJH0012A' not found", "has gone"),
        ("error: closed", "has gone"),
        ("adb: device offline", "is offline"),
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "has not authorized"),
    ],
)
def test_the_phone_goes_away(phone: FakePhone, capfd: pytest.CaptureFixture[str], says: str, words: str) -> None:
    """Errors of adb itself are told apart from those of the commands that it runs."""
    (phone.root / "gone").write_text(f"{says}\n", encoding="utf-8")
    code, message, _ = failure(capfd)
    assert (code, words in message) == (12, True), message


def test_files_that_cannot_be_fetched(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """Some makers keep the files of apps from adb."""
    (phone.root / "denied").touch()
    code, message, hint = failure(capfd)
    assert (code, "Permission denied" in message, "another one" in hint) == (12, True, True)


def test_a_trace_is_missing(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """The verdict of the app alone is not enough."""
    (phone.root / "answer" / "model.onnx.npz").unlink()
    code, message, _ = failure(capfd)
    assert (code, "model.onnx.npz" in message) == (11, True)


@pytest.mark.parametrize(
    "arguments",
    [["--device", "usb"], ["--device", "adb:"], ["--timeout", "3"], ["--keep", "x"], ["--device", "adb", "--no-cache"],
     ["--device", "adb", "--keep", "bundle"]],
)  # fmt: skip
def test_options_that_do_not_fit(phone: FakePhone, capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """An option that would be ignored is refused."""
    assert run(capfd, "profile", "bundle", *arguments)[0] == 2


def test_what_is_no_bundle(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """Told before the phone is looked for."""
    Path("bundle/model.pte").write_bytes(b"changed")
    code, message, _ = failure(capfd)
    assert (code, "model.pte was changed" in message) == (11, True)
    assert not (phone.root / "log").exists()


def test_a_bundle_keeps_what_was_measured_of_it(phone: FakePhone, capfd: pytest.CaptureFixture[str]) -> None:
    """The same build leaves it, another takes it away; the host's times, if there are any, stand beside the phone's."""
    folder = Path("bundle")
    sha256 = digest.of_file(folder / "manifest.json")
    content = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    content |= {"report.json": b"{}", "report.html": b"a page"}
    bundles.write(folder, content)
    (folder / "profile.json").write_text(
        profiles.profile().model_copy(update={"manifest_sha256": sha256}).to_json(), encoding="utf-8"
    )
    code, out, _ = run(capfd, "profile", folder, "--device", "adb")
    assert (code, "this host" in out, "are not measured" in out) == (0, True, False)
    shown = (folder / "report.html").read_text("utf-8")
    assert "Tensor G3" in shown
    assert "this host" in shown
    bundles.write(folder, content)
    assert (folder / "device.json").is_file()
    assert (folder / "report.html").read_text("utf-8") == shown
    bundles.write(folder, {**content, "model.pte": b"another"})
    assert not (folder / "device.json").exists()


@pytest.mark.parametrize("breach", [False, True])
@pytest.mark.parametrize("profiled", [False, True])
def test_the_page_agrees_with_the_json(phone: FakePhone, breach: bool, profiled: bool) -> None:
    """Every figure of the section is what the file says; beside the host's times if the bundle was profiled."""
    opened = device.open_bundle(Path("bundle"))
    traces = {**TRACES, "model.pte": devices.on_device(off=30 if breach else 0.1)}
    phone.answers(devices.selftest(opened, traces), traces)
    told = selftest.parse((phone.root / "answer/selftest.json").read_text("utf-8"), where="x")
    found = trip.of_selftest(opened, told, phone.root / "answer")
    profile = profiles.profile() if profiled else None
    text = page.of_bundle(opened.manifest, profile, found)
    read = pages.read(text)
    assert pages.disagreements(read, read.documents) == []
    assert read.documents["device"] == json.loads(found.to_json())
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    words = " ".join(read.rest)
    assert ("this host" in words) == profiled
    assert ("failed." in words) == breach

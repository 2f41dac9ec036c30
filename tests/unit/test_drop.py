"""Dropping a bundle into an app: found by what lies there, copied, checked, pinned, switched, cleared."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import errors
from edgekit.apps import drop as dropping
from edgekit.apps import pins
from edgekit.apps.find import find
from edgekit.apps.values import Dropped
from edgekit.base import atomic, digest
from edgekit.bundles import own
from edgekit.bundles.manifest import Manifest, TargetInfo, Tokenizer
from edgekit.cli import main
from edgekit.spec import Cpu, Platform
from tests.unit import examples

ANDROID = {"org.pytorch:executorch-android": "1.5.1", "com.microsoft.onnxruntime:onnxruntime-android": "1.29.0"}
IOS = {"executorch": "swiftpm-1.5.1", "onnxruntime-objc": "1.30.0"}
CATALOG = """\
# Written by hand, and by edgekit drop.
[versions]
agp = "8.13.0"
executorch = "1.4.0" # the runtime of the .pte
onnxruntime = '1.22.0'

[libraries]
executorch = { module = "org.pytorch:executorch-android", version.ref = "executorch" }
onnxruntime = { module = "com.microsoft.onnxruntime:onnxruntime-android", version.ref = "onnxruntime" }

[plugins]
application = { id = "com.android.application", version.ref = "agp" }
"""
PACKAGE = """\
// swift-tools-version: 6.0
import PackageDescription

let executorchBranch = "swiftpm-1.4.0" // written by edgekit drop
let onnxruntimeVersion = "1.20.0"

let package = Package(name: "EdgeKitDemo")
"""


def manifest(platform: Platform = Platform.ANDROID, *, breach: bool = False, classes: int = 10) -> Manifest:
    """A manifest for a phone; fewer classes make another one."""
    info = TargetInfo(
        name=f"{platform}-arm64",
        platform=platform,
        cpu=Cpu.ARM64,
        runtimes=ANDROID if platform is Platform.ANDROID else IOS,
    )
    labels = tuple(map(str, range(classes)))
    return examples.manifest(breach=breach).model_copy(update={"target": info, "labels": labels})


def for_chip(*socs: str, chip: str = "hexagon", **changes: Any) -> Manifest:
    """A manifest for a chip beside the CPU's of `manifest`."""
    whole = manifest()
    info = whole.target.model_copy(update={"name": f"{chip}-{'-'.join(socs) or 'any'}", "chip": chip, "socs": socs})
    onnx = whole.artifacts[1].model_copy(update={"delegates": ("QNNExecutionProvider",)})
    return whole.model_copy(update={"target": info, "artifacts": (onnx,), **changes})


def android_app(root: Path, *, module: str = "app", kotlin: bool = True, catalog: bool = True) -> Path:
    """The skeleton of a Gradle project as Android Studio makes it."""
    ending = ".kts" if kotlin else ""
    folder = root / module
    (folder / "src/main").mkdir(parents=True)
    (folder / "src/main/AndroidManifest.xml").write_text("<manifest/>")
    plugin = 'id("com.android.application")' if kotlin else "id 'com.android.application'"
    (folder / f"build.gradle{ending}").write_text(f"plugins {{\n    {plugin}\n}}\n")
    (root / f"settings.gradle{ending}").write_text(f'include(":{module}")\n')
    if catalog:
        (root / "gradle").mkdir()
        (root / "gradle/libs.versions.toml").write_text(CATALOG)
    return root


def ios_app(root: Path) -> Path:
    """The skeleton of the demo app's Swift package."""
    (root / "EdgeKitDemo/Resources").mkdir(parents=True)
    (root / "Package.swift").write_text(PACKAGE)
    return root


def assets(root: Path) -> Path:
    """Where an Android app's bundles lie."""
    return root / "app/src/main/assets/edgekit"


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(app: Path, *bundle: Path, **options: Any) -> Dropped:
    """Drop bundles through the Python API."""
    return edgekit.drop(app, bundle=bundle, **options)


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command line and return its exit code and what it printed."""
    with pytest.raises(SystemExit) as stop:
        main.main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    captured = capfd.readouterr()
    return stop.value.code, captured.out, captured.err


def test_the_bundle_lies_where_the_app_reads_it(tmp_path: Path) -> None:
    """By the digest of its manifest, whole, with a pointer beside it; reports stay where they were."""
    source = examples.write_bundle(tmp_path / "bundle", manifest())
    (source / "report.html").write_text("page")
    app = android_app(tmp_path / "demo")
    done = put(app, source)
    sha256 = digest.of_file(source / "manifest.json")
    pointer = json.loads((assets(app) / "bundle.json").read_text())
    assert pointer == {"version": 1, "folder": sha256[:16], "manifest_sha256": sha256}
    expected = {name: data for name, data in files_in(source).items() if name != "report.html"}
    assert files_in(assets(app) / sha256[:16]) == expected
    assert (done.folder, done.changed) == (assets(app) / sha256[:16], True)
    assert not done.notes


def test_the_tokenizer_goes_along(tmp_path: Path) -> None:
    """It is one of the bundle's files: copied, checked, and no stranger in its folder."""
    app, data = android_app(tmp_path / "demo"), b'{"model": {}}'
    text = Tokenizer(
        file="tokenizer.json", sha256=digest.of_bytes(data), bytes=len(data), length=8, inputs={"tokens": "ids"}
    )
    source = examples.write_bundle(tmp_path / "bundle", manifest().model_copy(update={"text": text}))
    with pytest.raises(errors.BundleError, match=r"tokenizer\.json is missing"):
        put(app, source)
    (source / "tokenizer.json").write_bytes(data)
    done = put(app, source)
    assert files_in(assets(app))[f"{done.folder.name}/tokenizer.json"] == data
    assert own.foreign(source) == ()


def test_a_second_drop_has_nothing_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No file is touched; the first drop did change something."""
    source = examples.write_bundle(tmp_path / "bundle", manifest())
    app = android_app(tmp_path / "demo")
    code, out, _ = run(capfd, "drop", app, "--bundle", source)
    assert code == 0
    assert "Nothing to do" not in out
    before = {path: path.stat().st_mtime_ns for path in app.rglob("*")}
    code, out, _ = run(capfd, "drop", app, "--bundle", source)
    assert code == 0
    assert "Nothing to do" in out
    code, out, _ = run(capfd, "drop", app, "--bundle", source, "--json")
    answer = json.loads(out)
    assert (answer["changed"], answer["copied"], answer["removed"]) == (False, False, [])
    assert {path: path.stat().st_mtime_ns for path in app.rglob("*")} == before


def test_a_damaged_copy_is_mended(tmp_path: Path) -> None:
    """The same bundle is copied again where a file of it was changed or lost."""
    source = examples.write_bundle(tmp_path / "bundle", manifest())
    app = android_app(tmp_path / "demo")
    folder = put(app, source).folder
    whole = files_in(folder)
    for damage in (
        lambda: (folder / "model.pte").write_bytes(b"pto"),
        lambda: (folder / "golden/0.image.bin").unlink(),
        lambda: (folder / "manifest.json").write_bytes(b"{}"),
    ):
        damage()
        assert files_in(folder) != whole
        assert put(app, source).copied
        assert files_in(folder) == whole


def test_the_bundle_before_is_removed(tmp_path: Path) -> None:
    """Also what an interrupted drop has left; files that are somebody else's stay."""
    app = android_app(tmp_path / "demo")
    first = put(app, examples.write_bundle(tmp_path / "one", manifest())).folder
    (assets(app) / f".{'a' * 16}.{'b' * 16}.edgekit-new").mkdir()
    (assets(app) / "README.txt").write_text("ours")
    done = put(app, examples.write_bundle(tmp_path / "two", manifest(classes=9)))
    assert done.removed == tuple(sorted((f".{'a' * 16}.{'b' * 16}.edgekit-new", first.name)))
    assert {path.name for path in assets(app).iterdir()} == {done.folder.name, "bundle.json", "README.txt"}


STOPPED = """
import os, signal, sys
from edgekit.apps import drop
stage = sys.argv[1]
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(drop, stage, die)
drop.drop(sys.argv[2], bundle=sys.argv[3])
"""


# The same at the third call, say; those before it are made.
STOPPED_AT = """
import os, signal, sys
from edgekit.apps import drop
stage, left = sys.argv[1], int(sys.argv[2])
real = getattr(drop, stage)
def die(*arguments, **options):
    global left
    left -= 1
    return os.kill(os.getpid(), signal.SIGKILL) if left == 0 else real(*arguments, **options)
setattr(drop, stage, die)
drop.drop(sys.argv[3], bundle=sys.argv[4:])
"""


@pytest.mark.parametrize("stage", ["replace_folder", "_verify", "write", "_switch", "_clear"])
def test_a_killed_drop_leaves_a_whole_bundle(tmp_path: Path, stage: str) -> None:
    """Killed at any step, the app loads the bundle it had or the new one; the next drop ends it."""
    app = android_app(tmp_path / "demo")
    put(app, examples.write_bundle(tmp_path / "one", manifest()))
    second = examples.write_bundle(tmp_path / "two", manifest(classes=9))
    done = subprocess.run([sys.executable, "-c", STOPPED, stage, app, second], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    pointer = json.loads((assets(app) / "bundle.json").read_text())
    folder = assets(app) / pointer["folder"]
    assert digest.of_file(folder / "manifest.json") == pointer["manifest_sha256"]
    expected = tmp_path / ("two" if stage == "_clear" else "one")
    assert files_in(folder) == files_in(expected)
    put(app, second)
    assert {path.name for path in assets(app).iterdir()} == {
        digest.of_file(second / "manifest.json")[:16],
        "bundle.json",
    }


def test_a_copy_that_differs_is_not_switched_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk gives back is compared; a wrong byte leaves the app with the bundle that it had."""
    app = android_app(tmp_path / "demo")
    first = put(app, examples.write_bundle(tmp_path / "one", manifest())).folder
    original = atomic.replace_folder

    def careless(folder: Path, files: dict[str, bytes], check: Any) -> None:
        original(folder, {**files, "model.onnx": b"anno"}, check)

    monkeypatch.setattr(dropping, "replace_folder", careless)
    with pytest.raises(errors.AppError, match=r"model\.onnx was changed"):
        put(app, examples.write_bundle(tmp_path / "two", manifest(classes=9)))
    assert json.loads((assets(app) / "bundle.json").read_text())["folder"] == first.name


def test_an_app_of_another_platform_is_refused(tmp_path: Path) -> None:
    """Each way round; nothing is written."""
    android, ios = android_app(tmp_path / "android"), ios_app(tmp_path / "ios")
    for_ios = examples.write_bundle(tmp_path / "one", manifest(Platform.IOS))
    for_android = examples.write_bundle(tmp_path / "two", manifest())
    for app, bundle in ((android, for_ios), (ios, for_android)):
        with pytest.raises(errors.BundleError, match="is an app for"):
            put(app, bundle)
        assert not list(app.rglob("bundle.json"))
    with pytest.raises(errors.BundleError, match="not for android-x86_64"):
        put(android, for_android, target="android-x86_64")
    put(android, for_android, target="android-arm64")


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    """One byte is enough; nothing is written, and force does not help."""
    source = examples.write_bundle(tmp_path / "bundle", manifest())
    (source / "model.pte").write_bytes(b"pta")
    app = android_app(tmp_path / "demo")
    for force in (False, True):
        with pytest.raises(errors.BundleError, match=r"model\.pte was changed"):
            put(app, source, force=force)
    assert not assets(app).exists()


def test_a_failed_verdict_needs_force(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Refused with the exit code of a failed gate; forced, it is copied and said."""
    source = examples.write_bundle(tmp_path / "bundle", manifest(breach=True))
    app = android_app(tmp_path / "demo")
    code, _, err = run(capfd, "drop", app, "--bundle", source)
    assert code == errors.OverBudgetError.exit_code
    assert "--force" in err
    assert not assets(app).exists()
    code, out, _ = run(capfd, "drop", app, "--bundle", source, "--force")
    assert code == 0
    assert "do not release" in out
    assert (assets(app) / "bundle.json").is_file()


def test_the_projects_bundle_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where build writes it, by the app's platform; if there is none, the error says how to build it."""
    monkeypatch.chdir(tmp_path)
    android, ios = android_app(tmp_path / "android"), ios_app(tmp_path / "ios")
    code, _, err = run(capfd, "drop", ios)
    assert code == errors.BundleError.exit_code
    assert "edgekit build --target ios-arm64" in err
    code, _, err = run(capfd, "drop", android, "--target", "android-x86_64")
    assert "edgekit build --target android-x86_64" in err
    examples.write_bundle(tmp_path / "artifacts/digits/android-arm64", manifest())
    code, out, _ = run(capfd, "drop", android, "--json")
    assert (code, json.loads(out)["bundle"]) == (0, "artifacts/digits/android-arm64")
    code, _, _ = run(capfd, "drop", android, "--target", "toaster")
    assert code == errors.TargetError.exit_code


def three(folder: Path, **changes: Any) -> tuple[Path, ...]:
    """Bundles of one model: for the CPU, for one system on a chip, and for whatever has a chip."""
    manifests = {
        "cpu": manifest().model_copy(update=changes),
        "hexagon": for_chip("SM8650", **changes),
        "vulkan": for_chip(chip="vulkan", **changes),
    }
    made = tuple(examples.write_bundle(folder / name, one) for name, one in manifests.items())
    for chip in made[1:]:
        (chip / "model.pte").unlink()
    return made


def test_bundles_for_chips_lie_beside_the_cpus(tmp_path: Path) -> None:
    """What an app reads that knows of one bundle is the CPU's, in the same words; the order of naming says nothing."""
    cpu, hexagon, vulkan = three(tmp_path)
    app = android_app(tmp_path / "demo")
    done = put(app, vulkan, hexagon, cpu)
    of = {source: digest.of_file(source / "manifest.json") for source in (cpu, hexagon, vulkan)}
    assert json.loads((assets(app) / "bundle.json").read_text()) == {
        "version": 1,
        "folder": of[cpu][:16],
        "manifest_sha256": of[cpu],
        "chips": [
            {"folder": of[hexagon][:16], "manifest_sha256": of[hexagon], "chip": "hexagon", "socs": ["SM8650"]},
            {"folder": of[vulkan][:16], "manifest_sha256": of[vulkan], "chip": "vulkan", "socs": []},
        ],
    }
    for source, sha256 in of.items():
        assert files_in(assets(app) / sha256[:16]) == files_in(source)
    assert (done.fallback.bundle, [one.bundle for one in done.chips]) == (cpu, [hexagon, vulkan])
    assert not put(app, cpu, hexagon, vulkan).changed
    assert put(app, cpu, hexagon).removed == (of[vulkan][:16],)
    assert put(app, cpu).removed == (of[hexagon][:16],)
    assert "chips" not in json.loads((assets(app) / "bundle.json").read_text())


def test_a_library_for_a_chip_is_told_until_it_is_there(tmp_path: Path) -> None:
    """An app without it would fall back everywhere, and nobody would know; a CPU's bundle needs none."""
    cpu, hexagon, _ = three(tmp_path)
    app = android_app(tmp_path / "demo")
    assert not put(app, cpu).notes
    [note] = put(app, cpu, hexagon).notes
    assert "hexagon-SM8650 runs only in an app that links com.qualcomm.qti:onnxruntime-android-qnn" in note
    build = app / "app/build.gradle.kts"
    build.write_text(build.read_text() + 'implementation("com.qualcomm.qti:onnxruntime-android-qnn:2.7.0")')
    assert not put(app, cpu, hexagon).notes


def test_an_app_without_a_fallback_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """So is one with two; nothing is written."""
    cpu, hexagon, vulkan = three(tmp_path)
    app = android_app(tmp_path / "demo")
    code, _, err = run(capfd, "drop", app, "--bundle", hexagon, "--bundle", vulkan)
    assert code == errors.BundleError.exit_code
    assert "for hexagon of SM8650 alone: other devices would have nothing to run" in err
    assert f"--bundle {tmp_path / 'android-arm64'}" in err
    other = examples.write_bundle(tmp_path / "other", manifest(classes=9))
    with pytest.raises(errors.BundleError, match="are both for a CPU"):
        put(app, cpu, hexagon, other)
    assert not assets(app).exists()


@pytest.mark.parametrize(
    ("chip", "socs", "what"),
    [
        ("hexagon", ("SM8750", "sm8650"), "both for SM8650"),
        ("other", ("SM8650",), "both for SM8650"),
        ("hexagon", ("SM8750",), None),
        ("hexagon", (), None),
    ],
)
def test_two_bundles_for_one_system_on_a_chip(
    tmp_path: Path, chip: str, socs: tuple[str, ...], what: str | None
) -> None:
    """An app could not tell which to take, whatever their chips are called; others may lie beside each other."""
    cpu, hexagon, _ = three(tmp_path)
    app = android_app(tmp_path / "demo")
    second = examples.write_bundle(tmp_path / "second", for_chip(*socs, chip=chip))
    if what is None:
        assert len(put(app, cpu, hexagon, second).chips) == 2
        return
    with pytest.raises(errors.BundleError, match=what):
        put(app, cpu, hexagon, second)
    assert not assets(app).exists()


def test_two_bundles_for_every_device_with_a_chip(tmp_path: Path) -> None:
    """They are not told apart either."""
    cpu, _, vulkan = three(tmp_path)
    second = examples.write_bundle(tmp_path / "second", for_chip(chip="other"))
    with pytest.raises(errors.BundleError, match="both for every device with their chip"):
        put(android_app(tmp_path / "demo"), cpu, vulkan, second)


def test_bundles_of_different_models_are_refused(tmp_path: Path) -> None:
    """Other weights, other labels; an app asks and shows the same on every phone."""
    cpu, hexagon, _ = three(tmp_path)
    app = android_app(tmp_path / "demo")
    model = manifest().model.model_copy(update={"weights_sha256": "1" * 64})
    for changes, field in (({"model": model}, "model"), ({"labels": ("a",) * 10}, "labels")):
        second = examples.write_bundle(tmp_path / field, for_chip("SM8750", **changes))
        with pytest.raises(errors.BundleError, match=f"not of one model: {field} differ"):
            put(app, cpu, hexagon, second)
    assert not assets(app).exists()


def test_bundles_for_different_runtimes_are_refused(tmp_path: Path) -> None:
    """An app links one version of a library."""
    cpu, _, _ = three(tmp_path)
    whole = for_chip("SM8750")
    older = whole.target.model_copy(update={"runtimes": ANDROID | {"org.pytorch:executorch-android": "1.4.0"}})
    second = examples.write_bundle(tmp_path / "second", whole.model_copy(update={"target": older}))
    with pytest.raises(errors.BundleError, match=r"executorch-android 1\.5\.1, .*for 1\.4\.0: an app links one"):
        put(android_app(tmp_path / "demo"), cpu, second)


def test_a_bundle_for_a_chip_is_checked_as_the_cpus(tmp_path: Path) -> None:
    """A damaged one, one for another platform, one over its budget, which goes with force and is named."""
    cpu, hexagon, _ = three(tmp_path)
    app = android_app(tmp_path / "demo")
    wrong = for_chip("SM8750", verdict="failed")
    failed = examples.write_bundle(tmp_path / "failed", wrong)
    with pytest.raises(errors.OverBudgetError, match="failed is over its budget"):
        put(app, cpu, failed)
    assert not assets(app).exists()
    assert any("failed is over its budget" in note for note in put(app, cpu, failed, force=True).notes)
    (hexagon / "model.onnx").write_bytes(b"anno")
    with pytest.raises(errors.BundleError, match=r"model\.onnx was changed"):
        put(app, cpu, hexagon)
    ios = wrong.target.model_copy(update={"platform": Platform.IOS})
    elsewhere = examples.write_bundle(tmp_path / "ios", wrong.model_copy(update={"target": ios}))
    with pytest.raises(errors.BundleError, match="is an app for"):
        put(app, cpu, elsewhere)


def test_targets_for_chips_take_the_cpus_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Asked for by name; nobody gets them without asking. What was not built is told in one command."""
    monkeypatch.chdir(tmp_path)
    app = android_app(tmp_path / "demo")
    code, _, err = run(capfd, "drop", app, "--target", "snapdragon-8-gen-3")
    assert code == errors.BundleError.exit_code
    assert "edgekit build --target android-arm64 --target snapdragon-8-gen-3" in err
    whole = for_chip("SM8650")
    named = whole.target.model_copy(update={"name": "snapdragon-8-gen-3"})
    examples.write_bundle(tmp_path / "artifacts/digits/android-arm64", manifest())
    examples.write_bundle(tmp_path / "artifacts/digits/snapdragon-8-gen-3", whole.model_copy(update={"target": named}))
    code, out, _ = run(capfd, "drop", app, "--json")
    assert (code, json.loads(out)["chips"]) == (0, [])
    code, out, _ = run(capfd, "drop", app, "--target", "snapdragon-8-gen-3", "--json")
    [chip] = json.loads(out)["chips"]
    assert (code, chip["target"], chip["socs"]) == (0, "snapdragon-8-gen-3", ["SM8650"])
    code, out, _ = run(capfd, "drop", app, "-t", "android-arm64", "-t", "snapdragon-8-gen-3")
    assert code == 0
    assert "Nothing to do: the app has these bundles" in out
    assert "hexagon of SM8650" in out


@pytest.mark.parametrize(
    ("stage", "at"), [("replace_folder", 1), ("replace_folder", 3), ("_verify", 4), ("_switch", 1), ("_clear", 1)]
)
def test_a_killed_drop_of_several_leaves_whole_bundles(tmp_path: Path, stage: str, at: int) -> None:
    """Killed at any step of any of them, the app loads those it had or the new ones, never some of each."""
    app = android_app(tmp_path / "demo")
    before, after = three(tmp_path / "one"), three(tmp_path / "two", labels=tuple(map(str, range(9))))
    put(app, *before)
    program = [sys.executable, "-c", STOPPED_AT, stage, str(at), *map(str, (app, *after))]
    assert subprocess.run(program, check=False, env=os.environ).returncode == -signal.SIGKILL
    pointer = json.loads((assets(app) / "bundle.json").read_text())
    expected = after if stage == "_clear" else before
    for place, source in zip((pointer, *pointer["chips"]), expected, strict=True):
        folder = assets(app) / place["folder"]
        assert digest.of_file(folder / "manifest.json") == place["manifest_sha256"]
        assert files_in(folder) == files_in(source)
    put(app, *after)
    names = {digest.of_file(source / "manifest.json")[:16] for source in after}
    assert {path.name for path in assets(app).iterdir()} == {*names, "bundle.json"}


@pytest.mark.parametrize("kotlin", [True, False])
@pytest.mark.parametrize("module", ["app", "mobile", "."])
def test_gradle_projects(tmp_path: Path, module: str, *, kotlin: bool) -> None:
    """A module named app, one of another name, and the project itself; in both languages."""
    root = android_app(tmp_path / "mine", module=module, kotlin=kotlin)
    assert find(root).place == root / module / "src/main/assets/edgekit"
    assert find(root).pins == root / "gradle/libs.versions.toml"


def test_a_module_uses_the_catalog_of_its_project(tmp_path: Path) -> None:
    """The folder of the module itself will do."""
    root = android_app(tmp_path / "mine", module="mobile")
    assert find(root / "mobile").place == root / "mobile/src/main/assets/edgekit"
    assert find(root / "mobile").pins == root / "gradle/libs.versions.toml"


def test_what_is_no_app_is_told_what_is_missing(tmp_path: Path) -> None:
    """A folder that is not there, an empty one, no app module, two of them, no sources."""
    with pytest.raises(errors.AppError, match="There is no folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(errors.AppError, match=r"neither a settings.gradle"):
        find(tmp_path)
    root = android_app(tmp_path / "two", module="phone")
    (root / "library").mkdir()
    (root / "library/build.gradle.kts").write_text('plugins { id("com.android.library") }')
    assert find(root).place.is_relative_to(root / "phone")
    (root / "phone/build.gradle.kts").write_text('plugins { id("com.android.library") }')
    with pytest.raises(errors.AppError, match="no app module"):
        find(root)
    for name in ("phone", "library"):
        (root / name / "build.gradle.kts").write_text("plugins { alias(libs.plugins.android.application) }")
    with pytest.raises(errors.AppError, match="several app modules: library, phone"):
        find(root)
    (root / "app").mkdir()
    (root / "app/build.gradle").write_text("")
    with pytest.raises(errors.AppError, match="no src/main"):
        find(root)


def test_swift_projects(tmp_path: Path) -> None:
    """The demo, a package with sources by target, an Xcode project; the one with a bundle goes first."""
    demo = ios_app(tmp_path / "demo")
    assert find(demo).place == demo / "EdgeKitDemo/Resources/edgekit"
    assert find(demo).pins == demo / "Package.swift"
    xcode = tmp_path / "xcode"
    (xcode / "Shop.xcodeproj").mkdir(parents=True)
    with pytest.raises(errors.AppError, match="no folder of resources") as caught:
        find(xcode)
    assert "Resources/edgekit" in caught.value.hint
    (xcode / "Shop/Resources").mkdir(parents=True)
    (xcode / "Widget/Resources").mkdir(parents=True)
    assert find(xcode).place == xcode / "Shop/Resources/edgekit"
    assert find(xcode).pins is None
    package = tmp_path / "package"
    (package / "Sources/Shop/Resources").mkdir(parents=True)
    (package / "Package.swift").write_text("// swift-tools-version: 6.0\n")
    assert find(package).place == package / "Sources/Shop/Resources/edgekit"
    (package / "Sources/Other/Resources").mkdir(parents=True)
    with pytest.raises(errors.AppError, match="several folders of resources"):
        find(package)
    (package / "Sources/Other/Resources/edgekit").mkdir()
    (package / "Sources/Other/Resources/edgekit/bundle.json").write_text("{}")
    assert find(package).place == package / "Sources/Other/Resources/edgekit"


def test_resources_are_made_in_the_target_that_is_the_app(tmp_path: Path) -> None:
    """An empty folder is not kept by git: the target with the entry point gets it, not the libraries beside it."""
    app = ios_app(tmp_path / "demo")
    (app / "EdgeKitDemo/Resources").rmdir()
    (app / "EdgeKitDemo/App").mkdir()
    (app / "EdgeKitDemo/App/DemoApp.swift").write_text("@main\nstruct DemoApp: App {}\n")
    (app / "Sources/Core").mkdir(parents=True)
    (app / "Sources/Core/Core.swift").write_text("// no @main here\n")
    (app / "Tests/CoreTests/Resources").mkdir(parents=True)
    assert find(app).place == app / "EdgeKitDemo/Resources/edgekit"
    (app / "Sources/Core/Resources").mkdir()
    assert find(app).place == app / "EdgeKitDemo/Resources/edgekit"
    (app / "Sources/Tool").mkdir()
    (app / "Sources/Tool/Tool.swift").write_text("@main struct Tool {}\n")
    (app / "Sources/Core/Resources").rmdir()
    with pytest.raises(errors.AppError, match="no folder of resources"):
        find(app)


def test_an_ios_app_gets_its_bundle_and_pins(tmp_path: Path) -> None:
    """The two constants are rewritten, everything else in the file is as it was."""
    app = ios_app(tmp_path / "demo")
    done = put(app, examples.write_bundle(tmp_path / "bundle", manifest(Platform.IOS)))
    assert (app / "EdgeKitDemo/Resources/edgekit/bundle.json").is_file()
    text = (app / "Package.swift").read_text()
    assert text == PACKAGE.replace("swiftpm-1.4.0", "swiftpm-1.5.1").replace("1.20.0", "1.30.0")
    assert {pin.key: (pin.before, pin.after) for pin in done.pins} == {
        "executorchBranch": ("swiftpm-1.4.0", "swiftpm-1.5.1"),
        "onnxruntimeVersion": ("1.20.0", "1.30.0"),
    }


def test_a_swift_package_without_constants_is_told_what_to_pin(tmp_path: Path) -> None:
    """Its file is left alone."""
    app = ios_app(tmp_path / "demo")
    (app / "Package.swift").write_text("// nothing\n")
    done = put(app, examples.write_bundle(tmp_path / "bundle", manifest(Platform.IOS)))
    assert (app / "Package.swift").read_text() == "// nothing\n"
    assert not done.pins
    assert "swiftpm-1.5.1" in done.notes[0]
    assert "1.30.0" in done.notes[1]


def test_the_catalog_keeps_its_comments_and_order() -> None:
    """Only the characters of the two versions change, whichever quotes they stand in."""
    text, found = pins.into_catalog(CATALOG, ANDROID)
    assert text == CATALOG.replace("1.4.0", "1.5.1").replace("1.22.0", "1.29.0")
    assert [(pin.before, pin.after, pin.changed) for pin in found] == [
        ("1.4.0", "1.5.1", True),
        ("1.22.0", "1.29.0", True),
    ]
    again, found = pins.into_catalog(text, ANDROID)
    assert (again, [pin.changed for pin in found]) == (text, [False, False])


def test_line_ends_of_windows_stay(tmp_path: Path) -> None:
    """Nothing but the versions changes, to the byte."""
    app = android_app(tmp_path / "demo")
    file = app / "gradle/libs.versions.toml"
    file.write_bytes(CATALOG.replace("\n", "\r\n").encode())
    put(app, examples.write_bundle(tmp_path / "bundle", manifest()))
    expected = CATALOG.replace("1.4.0", "1.5.1").replace("1.22.0", "1.29.0").replace("\n", "\r\n")
    assert file.read_bytes() == expected.encode()


def test_the_catalogs_own_names_are_used() -> None:
    """A library that refers to another key, by module or by group and name, decides which key is written."""
    own = CATALOG.replace('version.ref = "executorch"', 'version.ref = "et"').replace('executorch = "1.4', 'et = "1.4')
    own = own.replace(
        'module = "com.microsoft.onnxruntime:onnxruntime-android"',
        'group = "com.microsoft.onnxruntime", name = "onnxruntime-android"',
    )
    text, found = pins.into_catalog(own, ANDROID)
    assert [pin.key for pin in found] == ["et", "onnxruntime"]
    assert tomllib.loads(text)["versions"] == {"agp": "8.13.0", "et": "1.5.1", "onnxruntime": "1.29.0"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[libraries]\n",
        "[versions]",
        "[versions]\n",
        'x = 1\n[versions] # here\na = "1"\n[plugins]\n',
        "[ versions ]\n",
    ],
)
def test_versions_that_are_not_there_are_added(text: str) -> None:
    """The catalog then says all that it said, and the two versions."""
    fresh, found = pins.into_catalog(text, ANDROID)
    before, after = tomllib.loads(text), tomllib.loads(fresh)
    expected = before.get("versions", {}) | {"executorch": "1.5.1", "onnxruntime": "1.29.0"}
    assert after == before | {"versions": expected}
    assert [pin.before for pin in found] == [None, None]


@pytest.mark.parametrize(
    "text",
    [
        '[versions]\nexecutorch = { strictly = "1.4.0" }\n',
        'versions = { executorch = "1.4.0" }\n',
        'versions.executorch = "1.4.0"\n',
        "[versions\n",
    ],
)
def test_a_catalog_that_cannot_be_edited_is_left_alone(text: str, tmp_path: Path) -> None:
    """It says which versions to set, before anything is copied."""
    app = android_app(tmp_path / "demo")
    (app / "gradle/libs.versions.toml").write_text(text)
    with pytest.raises(errors.AppError):
        put(app, examples.write_bundle(tmp_path / "bundle", manifest()))
    assert (app / "gradle/libs.versions.toml").read_text() == text
    assert not assets(app).exists()


@pytest.mark.parametrize(("kotlin", "line"), [(True, 'implementation("{}")'), (False, "implementation '{}'")])
def test_without_a_catalog_the_lines_are_said(tmp_path: Path, line: str, *, kotlin: bool) -> None:
    """In the language of the build file, until they stand there."""
    app = android_app(tmp_path / "demo", kotlin=kotlin, catalog=False)
    source = examples.write_bundle(tmp_path / "bundle", manifest())
    done = put(app, source)
    lines = [line.format(f"{package}:{version}") for package, version in ANDROID.items()]
    assert {note.rpartition(": ")[2] for note in done.notes} == set(lines)
    build = app / "app" / f"build.gradle{'.kts' if kotlin else ''}"
    build.write_text(build.read_text() + "\n".join(lines).replace("1.5.1", "1.4.0"))
    assert len(put(app, source).notes) == 1
    build.write_text(build.read_text().replace("1.4.0", "1.5.1"))
    assert not put(app, source).notes


def test_only_the_runtimes_that_the_bundle_needs_are_pinned(tmp_path: Path) -> None:
    """A bundle of a .pte alone says nothing of ONNX Runtime."""
    whole = manifest()
    one = whole.model_copy(update={"artifacts": whole.artifacts[:1]})
    app = android_app(tmp_path / "demo")
    done = put(app, examples.write_bundle(tmp_path / "bundle", one))
    assert [pin.key for pin in done.pins] == ["executorch"]
    assert "1.22.0" in (app / "gradle/libs.versions.toml").read_text()
    assert not (done.folder / "model.onnx").exists()


def test_dropping_imports_no_torch() -> None:
    """It runs on the machine of an app developer, who has none of it."""
    program = "import sys, edgekit.apps.drop, edgekit.render.dropped; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "onnx", "onnxruntime", "executorch"} & set(done.stdout.split())

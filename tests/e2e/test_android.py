"""The Android demo: the whole app compiled, and its core and ONNX path run on the JVM, by ``scripts/test-android``."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import trace
from edgekit.targets import load

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "android-demo"
MISSING = [name for name in ("javac", "mvn") if shutil.which(name) is None]


@pytest.fixture(scope="module")
def said() -> str:
    """What ``scripts/test-android`` says when it has passed."""
    if MISSING:
        pytest.skip(f"the Android demo is not tested: {' and '.join(MISSING)} missing; edgekit doctor says more")
    done = subprocess.run([ROOT / "scripts/test-android"], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.slow
def test_the_app_compiles_and_its_tests_pass(said: str) -> None:
    """Core and shell compile, the tests run, and the script says what it compiled against."""
    count = re.search(r"the whole app compiles, (\d+) tests passed", said)
    assert count
    assert int(count[1]) > 100
    assert re.search(r"ExecuTorch: (compiling against executorch-android|.*CANNOT BE RESOLVED)", said)


@pytest.mark.slow
def test_the_sdk_reads_the_trace_that_the_app_wrote(said: str) -> None:
    """The self-test's npz is a trace of the leg device, with the bundle's inputs, and outputs near the host's."""
    bundle = DEMO / "build/bundles/digits/android-arm64"
    manifest = json.loads((bundle / "manifest.json").read_text())
    found = trace.load(DEMO / "build/out/selftest/model.onnx.npz")
    info = next(info for info in manifest["artifacts"] if info["file"] == "model.onnx")
    origin = json.loads(found.origin.model_dump_json())
    assert origin["program"] == "device"
    assert origin["artifact_sha256"] == info["sha256"]
    assert origin["model"] == manifest["model"]["weights_sha256"]
    assert found.samples.labels is not None
    assert found.samples.labels.tolist() == [golden["label"] for golden in manifest["golden"]]
    for row, golden in enumerate(manifest["golden"]):
        inputs = np.fromfile(bundle / golden["inputs"][0]["file"], dtype="<f4")
        np.testing.assert_array_equal(found.samples.array("image")[row].ravel(), inputs)
        host = next(output for output in golden["outputs"] if output["artifact"] == "model.onnx")
        error = np.abs(found.array("logits")[row] - np.fromfile(bundle / host["file"], dtype="<f4")).max()
        assert error <= host["max_abs_error"]


def test_without_java_the_script_names_what_to_install(tmp_path: Path) -> None:
    """A machine without a JDK is told so before anything is built."""
    for name in ("bash", "dirname", "sed"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([ROOT / "scripts/test-android"], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode != 0
    assert "needs a JDK 17" in done.stderr
    assert "openjdk-17-jdk-headless" in done.stderr


def test_the_catalog_pins_what_the_target_pins() -> None:
    """The app as it is checked out runs what a build for Android makes."""
    versions = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text())["versions"]
    pins = load("android-arm64").runtimes
    assert versions["executorch"] == pins["org.pytorch:executorch-android"]
    assert versions["onnxruntime"] == pins["com.microsoft.onnxruntime:onnxruntime-android"]


def test_the_app_goes_by_the_names_that_the_sdk_calls() -> None:
    """Package, activity and folder stand in the app as ``edgekit profile --device`` uses them."""
    manifest = (DEMO / "app/src/main/AndroidManifest.xml").read_text()
    assert 'android:name="org.edgekit.demo.SelfTestActivity"' in manifest
    assert 'applicationId = "org.edgekit.demo"' in (DEMO / "app/build.gradle.kts").read_text()
    assert (
        "/sdcard/Android/data/org.edgekit.demo/files/selftest"
        in (DEMO / "app/src/main/kotlin/org/edgekit/demo/Phone.kt").read_text()
    )

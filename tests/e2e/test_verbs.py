"""The verbs of the command line as functions: of a bundle's folder, with what they return."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.apps.native import toolchain
from edgekit.bundles import drawn
from edgekit.bundles.changes import BundleComparison, Change
from edgekit.drift.report import DriftReport
from edgekit.errors import BundleError, ProjectError
from edgekit.inspection import BundleFolder
from edgekit.spec.project import SAMPLE
from tests.e2e.conftest import Build

pytestmark = pytest.mark.slow


@pytest.fixture
def bundle(sample: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the sample's bundle, in a folder without a project."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(sample.cache))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(sample.bundle("linux-x86_64"), tmp_path / "bundle"))


def test_a_bundle_is_looked_into_and_compared(bundle: Path, sample: Build) -> None:
    """By its path as a text, too; with itself nothing changed, and alone it is held against the baseline."""
    found = edgekit.inspect(str(bundle))
    assert isinstance(found, BundleFolder)
    same = edgekit.compare(bundle, bundle)
    assert isinstance(same, BundleComparison)
    assert {one.change for leg in same.legs for one in leg.metrics} == {Change.SAME}
    other = edgekit.compare(bundle, sample.bundle("android-arm64"))
    assert {one.file for one in other.artifacts} == {"model.pte", "model.onnx"}
    drift = edgekit.compare(bundle)
    assert isinstance(drift, DriftReport)
    assert drift.within_budget
    assert edgekit.report([bundle]) == bundle / "report.html"
    network = drawn.of_bundle(bundle)
    assert network is not None
    assert {"conv2d", "linear"} <= {one.operation for one in network.operations}


def test_a_picture_goes_through_either_file(bundle: Path, tmp_path: Path) -> None:
    """With the label first; a format that is none is named."""
    data = np.load(SAMPLE / "evaluation.npz")
    Image.fromarray(data["pictures"][0]).save(tmp_path / "digit.png")
    for form in ("pte", "onnx"):
        said = edgekit.run(bundle, tmp_path / "digit.png", format=form)
        assert said.classes[0][0] == str(data["labels"][0])
        assert said.artifact == f"model.{form}"
    with pytest.raises(ProjectError, match="no format tflite"):
        edgekit.run(bundle, tmp_path / "digit.png", format="tflite")


def test_a_profile_is_measured_and_kept(bundle: Path) -> None:
    """The page shows it afterwards; of a bundle of another project it is refused."""
    found = edgekit.profile(bundle, project=SAMPLE)
    assert found.sensitivities is not None
    assert (bundle / "profile.json").is_file()
    assert 'id="layers"' in (bundle / "report.html").read_text("utf-8")


def test_the_processors_own_kernels_verify_it(bundle: Path) -> None:
    """And the page shows it; what belongs to the stage of the same name is refused."""
    if toolchain.host_cpu() is None or shutil.which("g++") is None:
        pytest.skip("no g++ for Linux on this machine: the native program cannot be compiled")
    found = edgekit.verify(bundle)
    assert found.verdict == "passed"
    assert (bundle / "emulated.json").is_file()
    with pytest.raises(ProjectError, match="not with a bundle"):
        edgekit.verify(bundle, target="web")  # type: ignore[call-overload]


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    """By every verb."""
    for call in (edgekit.inspect, edgekit.compare, edgekit.profile, edgekit.verify):
        with pytest.raises(BundleError):
            call(tmp_path / "nothing")
    with pytest.raises(ProjectError, match="bundle is a int"):
        edgekit.inspect(3)  # type: ignore[arg-type]

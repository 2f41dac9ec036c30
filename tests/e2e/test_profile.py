"""``edgekit profile`` as a person uses it, on the built sample, and what it refuses."""

import json
import resource
import shutil
from pathlib import Path

import pytest

from edgekit import bundles
from edgekit.bundles import drawn
from edgekit.bundles.profile import PROFILE_FILE, Profile
from edgekit.errors import BundleError, ProjectError
from edgekit.render.page import build as page
from edgekit.spec.project import SAMPLE
from tests import pages
from tests.e2e.conftest import Build, edgekit

pytestmark = pytest.mark.slow
TARGET = "android-arm64"


@pytest.fixture(scope="module")
def profiled(sample: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Profile, float]:
    """Return a copy of the sample's bundle that was profiled, what was printed, and the processor's seconds it took."""
    folder = tmp_path_factory.mktemp("profiled") / TARGET
    shutil.copytree(sample.bundle(TARGET), folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = edgekit("profile", folder, "--json", cwd=sample.folder, EDGEKIT_CACHE=str(sample.cache))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert finished.code == 0, finished.err
    assert "rank layers" in finished.err
    assert "s left" in finished.err
    assert finished.json["file"] == str(folder / PROFILE_FILE)
    found = Profile.model_validate_json(json.dumps(finished.json["profile"]))
    return folder, found, after.ru_utime - before.ru_utime


def test_the_bundle_holds_the_profile(profiled: tuple[Path, Profile, float]) -> None:
    """The file is what was printed, its page shows it, and the bundle is still one."""
    folder, found, _ = profiled
    assert Profile.model_validate_json((folder / PROFILE_FILE).read_text(encoding="utf-8")) == found
    manifest = bundles.read(folder)
    assert manifest.model.name == found.model == "digits"
    shown = (folder / bundles.PAGE_FILE).read_text(encoding="utf-8")
    assert shown == page.of_bundle(manifest, found, drawing=drawn.of_bundle(folder))
    assert len(shown) < 2e6


def test_the_page_says_what_the_files_say(profiled: tuple[Path, Profile, float]) -> None:
    """Every figure of the real page is traced to a file of the bundle, and one that is changed there is missed."""
    folder, found, _ = profiled
    shown = pages.read((folder / bundles.PAGE_FILE).read_text(encoding="utf-8"))
    files = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("report", "profile", "graph")
    }
    files["reader"] = pages.reader(bundles.read(folder), found)
    assert len(shown.figures) > 1000
    assert pages.disagreements(shown, files) == []
    for cost in files["profile"]["costs"]:
        cost["file_bytes"] += 1000
    assert pages.disagreements(shown, files) != []


def test_profiling_takes_less_than_three_minutes(profiled: tuple[Path, Profile, float]) -> None:
    """Of the processor's time, which other work on the machine does not change: the clock shows less on two cores."""
    _, _, seconds = profiled
    assert seconds < 180


def test_everything_was_measured(profiled: tuple[Path, Profile, float]) -> None:
    """Each part is there, and parts agree with each other and with the manifest."""
    folder, found, _ = profiled
    manifest = bundles.read(folder)
    assert found.drift == manifest.drift
    assert found.sensitivities is not None
    paths = {one.layer.path for one in found.sensitivities.ranking}
    assert "features.3.se.fc1" in paths
    assert paths == {one.path for one in found.values}
    assert paths <= {layer.path for layer in found.layers}
    assert all(value.values == sum(value.histogram.counts) for one in found.values for value in one.values)
    legs = {leg.artifact: leg for leg in found.lowering}
    assert legs.keys() == {"model.pte", "model.onnx"}
    assert legs["model.onnx"].first is None
    assert len(legs["model.onnx"].observed) > 40
    assert paths - {one.path for one in legs["model.onnx"].observed} == set()
    costs = {one.artifact: one for one in found.costs}
    assert list(costs) == ["model.pte", "model.onnx", "float32 .pte", "float32 .onnx"]
    for info in manifest.artifacts:
        assert costs[info.file].file_bytes == info.bytes < costs[f"float32 .{info.format}"].file_bytes
    assert all(one.latency.runs == 500 and one.latency.warm_up == 50 and one.operators for one in found.costs)
    pairs = {name: f"float32 {name[5:]}" for name in ("model.pte", "model.onnx")}
    slower = [ours for ours, plain in pairs.items() if _median(found, ours) >= _median(found, plain)]
    assert [line.split()[0] for line in found.warnings if "not faster" in line] == slower
    assert {one.artifact for one in found.classes} == {"model.pte", "model.onnx"}
    assert found.noise == ()


def _median(found: Profile, artifact: str) -> float:
    return next(one.latency.median_ms for one in found.costs if one.artifact == artifact)


def test_an_unchanged_build_keeps_the_profile(sample: Build, tmp_path: Path) -> None:
    """And one that writes other files does not: the profile would be of another build."""
    shutil.copytree(sample.folder, tmp_path, dirs_exist_ok=True)
    (place,) = tmp_path.glob(f"artifacts/digits/{TARGET}")
    (place / PROFILE_FILE).write_text("{}", encoding="utf-8")
    again = edgekit("build", "--target", TARGET, cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache))
    assert again.code == 0, again.err
    assert (place / PROFILE_FILE).is_file()
    (place / "golden" / "0.image.bin").unlink()
    again = edgekit("build", "--target", TARGET, cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache))
    assert again.code == 0, again.err
    assert not (place / PROFILE_FILE).exists()


def changed_project(folder: Path, was: str, now: str) -> Path:
    """Return a copy of the sample's project in which a text is another."""
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "edgekit.toml").read_text(encoding="utf-8")
    assert was in text
    (folder / "edgekit.toml").write_text(text.replace(was, now), encoding="utf-8")
    return folder


def test_a_changed_project_is_refused(sample: Build, tmp_path: Path) -> None:
    """What would be profiled is not what was built."""
    project = changed_project(tmp_path / "project", "calibration_batch = 64", 'ranges = "minmax"')
    done = edgekit("profile", sample.bundle(TARGET), "--project", project, "--json", cwd=tmp_path)
    assert done.code == ProjectError.exit_code
    assert "has changed since the bundle was built" in done.json["error"]["message"]
    assert not (sample.bundle(TARGET) / PROFILE_FILE).exists()


def test_the_bundle_of_another_project_is_refused(sample: Build, tmp_path: Path) -> None:
    """By its name, before anything is quantized."""
    project = changed_project(tmp_path / "project", 'name = "digits"', 'name = "letters"')
    done = edgekit("profile", sample.bundle(TARGET), "--project", project, "--json", cwd=tmp_path)
    assert done.code == ProjectError.exit_code
    assert "is a bundle of digits, and the project makes letters" in done.json["error"]["message"]
    assert "quantize" not in done.err


def test_missing_evaluation_data_is_told(sample: Build, tmp_path: Path) -> None:
    """As every verb tells it."""
    project = changed_project(tmp_path / "project", 'evaluation = "evaluation.npz"', 'evaluation = "gone.npz"')
    done = edgekit("profile", sample.bundle(TARGET), "--project", project, "--json", cwd=tmp_path)
    assert done.code == ProjectError.exit_code
    assert "gone.npz" in done.json["error"]["message"]


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    """Before torch is imported."""
    done = edgekit("profile", tmp_path, "--json", cwd=tmp_path)
    assert done.code == BundleError.exit_code
    assert "is not a bundle" in done.json["error"]["message"]

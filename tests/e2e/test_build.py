"""The main job on the real sample: every promise of the bundle, measured."""

import hashlib
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
from executorch.runtime import Runtime

from edgekit import bundles
from edgekit.errors import BundleError
from edgekit.spec.project import SAMPLE
from tests import pages
from tests.e2e.conftest import TARGETS, Build, edgekit
from tests.sessions import exact_session

pytestmark = pytest.mark.slow
each_target = pytest.mark.parametrize("target", TARGETS)


def legs(manifest: Any, name: str) -> list[Any]:
    """Return the legs of a name; there must be some."""
    found = [leg for leg in manifest["drift"]["legs"] if leg["name"] == name]
    assert found
    return found


def test_json_is_all_that_is_printed(sample: Build) -> None:
    """Standard output is one JSON object, with the manifests inside and the seconds of each stage."""
    result = sample.finished.json
    assert result["passed"] is True
    assert [entry["manifest"]["target"]["name"] for entry in result["bundles"]] == list(TARGETS)
    assert result["bundles"][0]["manifest"] == sample.manifest("android-arm64")


def test_targets_share_capture_and_quantization(sample: Build) -> None:
    """Each shared stage runs once, and so does the lowering to the .pte that both targets want."""
    stages = [stage["stage"] for stage in sample.finished.json["seconds"]]
    assert stages.count("capture") == 1
    assert stages.count("quantize int8") == 1
    assert sum(stage.startswith("lower int8 .pte") for stage in stages) == 1
    assert sum(stage.startswith("lower int8 .onnx") for stage in stages) == 2


@each_target
def test_every_manifest_obeys_the_schema(sample: Build, target: str) -> None:
    """The schema in the package is the contract; a manifest that breaks it is told apart."""
    file = resources.files("edgekit").joinpath("bundles", "schemas", "manifest-1.json")
    schema = json.loads(file.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    manifest = sample.manifest(target)
    validator.validate(manifest)
    del manifest["artifacts"][0]["sha256"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(manifest)


@each_target
def test_the_page_agrees_with_the_report(sample: Build, target: str) -> None:
    """Every figure of report.html is what report.json says; another target's report is told apart."""
    text = (sample.bundle(target) / "report.html").read_text(encoding="utf-8")
    page = pages.read(text)
    folder = sample.bundle(target)
    files = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("report", "graph")}
    files["reader"] = pages.reader(bundles.read(folder))
    assert pages.disagreements(page, files) == []
    assert page.documents == files
    assert len(text.encode()) < 1_500_000
    files["report"]["drift"]["samples"] += 1
    assert pages.disagreements(page, files) != []


@each_target
def test_artifacts_are_small_and_whole(sample: Build, target: str) -> None:
    """Both files are under 35% of the float weights plus 40 KB, and are what the manifest says."""
    manifest = sample.manifest(target)
    assert {artifact["format"] for artifact in manifest["artifacts"]} == {"pte", "onnx"}
    for artifact in manifest["artifacts"]:
        data = (sample.bundle(target) / artifact["file"]).read_bytes()
        assert len(data) == artifact["bytes"] < 0.35 * manifest["model"]["float_bytes"] + 40_000
        assert hashlib.sha256(data).hexdigest() == artifact["sha256"]
        assert artifact["within_size"] is True
        assert artifact["delegated_fraction"] == 1
        assert artifact["not_delegated"] == []
        assert artifact["verified_batches"] == [1, 16, 17, 33, 64]


@each_target
def test_drift_is_within_what_the_sample_promises(sample: Build, target: str) -> None:
    """Top-1 agreement is at least 99% and accuracy within half a point of float, for both artifacts."""
    manifest = sample.manifest(target)
    totals = legs(manifest, "total")
    assert {leg["artifact"] for leg in totals} == {"model.pte", "model.onnx"}
    assert {leg["artifact"] for leg in legs(manifest, "lowering")} == {"model.pte", "model.onnx"}
    for leg in totals:
        metrics = leg["metrics"]
        assert metrics["top1_agreement"] >= 0.99
        assert metrics["reference_accuracy"] >= 0.985
        assert metrics["accuracy"] >= metrics["reference_accuracy"] - 0.005
        assert metrics["sqnr_db"] > 37  # the stock recipe of either runtime gives 34 to 35
        assert metrics["non_finite"] == 0
    assert legs(manifest, "quantization")[0]["metrics"]["sqnr_db"] > 37
    assert legs(manifest, "server")[0]["metrics"]["top1_agreement"] == 1


def test_the_report_says_where_numbers_come_from(sample: Build) -> None:
    """An ARM target is run with exact kernels; a baseline from a CPU says so."""
    arm, x86 = (sample.manifest(target) for target in TARGETS)
    place = {leg["artifact"]: leg["candidate"] for leg in legs(arm, "total")}
    assert "exact int8 kernels" in place["model.onnx"]
    assert not any("exact int8 kernels" in leg["candidate"] for leg in legs(x86, "total"))
    on_cpu = "(cpu," in arm["baseline"]
    assert on_cpu == any("recorded on a CPU" in note for note in arm["drift"]["notes"])


def test_golden_outputs_are_what_the_runtimes_compute(sample: Build) -> None:
    """Loaded by nothing but the runtimes, the artifacts give the golden outputs; other inputs do not."""
    folder, manifest = sample.bundle("android-arm64"), sample.manifest("android-arm64")

    def tensor(entry: Any) -> np.ndarray:
        return np.fromfile(folder / entry["file"], entry["dtype"]).reshape(entry["shape"])

    method = Runtime.get().load_program(folder / "model.pte").load_method("forward")
    assert method is not None
    session = exact_session(folder / "model.onnx")
    assert len(manifest["golden"]) == 5
    for entry in manifest["golden"]:
        image = tensor(entry["inputs"][0])
        import torch

        found = {
            "model.pte": method.execute([torch.from_numpy(image)])[0].numpy().copy(),
            "model.onnx": session.run(None, {"image": image})[0],
        }
        assert {output["artifact"] for output in entry["outputs"]} == {None, "model.pte", "model.onnx"}
        for output in entry["outputs"]:
            expected = tensor(output)
            for name in [output["artifact"]] if output["artifact"] else list(found):
                assert np.abs(found[name] - expected).max() <= output["max_abs_error"]
                assert np.abs(found[name][:, ::-1] - expected).max() > output["max_abs_error"]


def test_onnx_is_self_contained(sample: Build) -> None:
    """Weights are inside, the batch is symbolic, and no source path or trace is left."""
    for target in TARGETS:
        data = (sample.bundle(target) / "model.onnx").read_bytes()
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
        assert b"/home" not in data
        assert b".py" not in data


def test_the_same_inputs_give_the_same_bytes(sample: Build, tmp_path: Path) -> None:
    """Another process in another folder, from a copy of the project and with nothing cached, writes the same files."""
    project = Path(shutil.copytree(SAMPLE, tmp_path / "elsewhere"))
    arguments = ("build", "--target", "android-arm64", "--output", "out", "--no-cache")
    again = edgekit(*arguments, cwd=project, PYTHONHASHSEED="7", EDGEKIT_CACHE=str(sample.cache))
    assert again.code == 0, again.err
    assert "lower int8 .pte" in again.err
    assert "from the cache" not in again.err
    ours, theirs = project / "out" / "digits" / "android-arm64", sample.bundle("android-arm64")
    names = sorted(str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_file())
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    assert "PASSED" in again.out


def test_over_budget_is_its_own_exit_code_and_the_bundle_is_marked(tmp_path: Path) -> None:
    """A budget that cannot be kept: the bundle is written, says failed, and the exit code is 20."""
    project = tmp_path / "strict"
    edgekit("init", project, cwd=tmp_path)
    file = project / "edgekit.toml"
    file.write_text(file.read_text().replace("min_sqnr_db = 25", "min_sqnr_db = 90"))
    finished = edgekit("build", "--target", "linux-arm64", cwd=project)
    assert finished.code == 20
    assert "quantization" in finished.err
    manifest = bundles.read(project / "artifacts" / "digits" / "linux-arm64")
    assert manifest.verdict == "failed"
    (breach,) = next(leg for leg in manifest.drift.legs if leg.name == "quantization").breaches
    assert (breach.metric, breach.limit) == ("sqnr_db", 90)


def test_a_damaged_bundle_is_refused(sample: Build, tmp_path: Path) -> None:
    """One changed byte or one missing file is named; the whole bundle passes."""
    copy = tmp_path / "bundle"
    shutil.copytree(sample.bundle("android-arm64"), copy)
    assert bundles.read(copy).verdict == "passed"
    data = bytearray((copy / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.onnx").write_bytes(data)
    next((copy / "golden").iterdir()).unlink()
    with pytest.raises(BundleError, match=r"golden/.* is missing") as caught:
        bundles.read(copy)
    assert "model.onnx was changed" in caught.value.message


def test_compare_takes_a_bundle_an_artifact_and_a_trace(sample: Build, tmp_path: Path) -> None:
    """All forms give the leg they stand for, and the same numbers as the build."""
    folder = sample.bundle("android-arm64")
    recorded = {leg["artifact"]: leg["metrics"]["sqnr_db"] for leg in legs(sample.manifest("android-arm64"), "total")}
    whole = edgekit("compare", folder, "--json", cwd=tmp_path)
    assert whole.code == 0, whole.err
    found = {leg["artifact"]: leg["metrics"]["sqnr_db"] for leg in whole.json["drift"]["legs"]}
    assert found == pytest.approx(recorded)
    one = edgekit("compare", folder / "model.pte", "--json", cwd=tmp_path).json
    assert one["drift"]["legs"][0]["metrics"]["sqnr_db"] == pytest.approx(recorded["model.pte"])
    assert edgekit("baseline", "record", "--device", "cpu", "--output", "new.npz", cwd=tmp_path).code == 0
    (leg,) = edgekit("compare", "new.npz", "--json", cwd=tmp_path).json["drift"]["legs"]
    assert leg["name"] == "server"


def test_a_perturbed_baseline_shows_in_the_server_leg(tmp_path: Path) -> None:
    """The negative twin of the server leg: a reference of another model's answers is over the budget."""
    with np.load(SAMPLE / "baseline.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["output.logits"] = arrays["output.logits"][:, ::-1]
    np.savez_compressed(tmp_path / "wrong.npz", **arrays)
    finished = edgekit("compare", "wrong.npz", "--json", cwd=tmp_path)
    assert finished.code == 20
    assert finished.json["drift"]["legs"][0]["metrics"]["top1_agreement"] < 0.5


def test_run_reads_a_picture(sample: Build, tmp_path: Path) -> None:
    """A picture of a digit gets its label, from both artifacts."""
    from PIL import Image

    data = np.load(SAMPLE / "evaluation.npz")
    Image.fromarray(data["pictures"][0]).resize((300, 300), Image.Resampling.BICUBIC).save(tmp_path / "digit.png")
    for form in ("pte", "onnx"):
        bundle_folder = sample.bundle("android-arm64")
        finished = edgekit("run", bundle_folder, "--input", "digit.png", "--format", form, "--json", cwd=tmp_path)
        assert finished.code == 0, finished.err
        best = finished.json["classes"][0]
        assert best["label"] == str(data["labels"][0])
        assert best["probability"] > 0.5


def test_a_mode_of_gpus_is_refused_on_a_cpu(tmp_path: Path) -> None:
    """What was recorded would be float32 twice."""
    done = edgekit("baseline", "record", "--device", "cpu", "--tf32", "--output", "new.npz", "--json", cwd=tmp_path)
    assert done.json["error"]["class"] == "ToolchainError"
    assert not (tmp_path / "new.npz").exists()


def test_a_server_without_executorch_and_onnx_records_a_baseline(tmp_path: Path) -> None:
    """Where no exporter can be imported, the baseline is recorded all the same; a build says what is missing."""
    names = ("executorch", "torchao", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "flatbuffers")
    (tmp_path / "absent").mkdir()
    for name in names:
        (tmp_path / "absent" / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})\n")
    server = {"PYTHONPATH": str(tmp_path / "absent")}
    several = ("--dtype", "float32", "--dtype", "bfloat16", "--dtype", "float16")
    recorded = edgekit("baseline", "record", "--device", "cpu", *several, "--output", "new.npz", cwd=tmp_path, **server)
    assert recorded.code == 0, recorded.err
    shown = edgekit("baseline", "show", "new.npz", "--json", cwd=tmp_path, **server).json
    assert [shown["origin"]["dtype"], *(one["dtype"] for one in shown["beside"])] == ["float32", "bfloat16", "float16"]
    assert edgekit("compare", "new.npz", cwd=tmp_path).code == 0
    build = edgekit("build", "--target", "linux-arm64", "--no-cache", cwd=tmp_path, **server)
    assert (build.code, "edgekit doctor" in build.err) == (12, True)

"""Schemes from one end to the other: what was asked for is in the files, the manifest and the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import edgekit
from edgekit import targets
from edgekit.base.progress import Silent
from edgekit.errors import ProjectError
from edgekit.execution import onnx as runtime
from edgekit.inspection import BundleFolder, OnnxFile, inspect_file
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.build import build_job
from edgekit.pipeline.job import Job
from edgekit.spec import Budget, Cpu, FormatSchemes, Limits, OutermostLayer, QuantSpec, Scheme, TensorSpec
from tests.e2e.conftest import edgekit as run
from tests.programs.test_schemes import Layers, vectors

pytestmark = pytest.mark.slow
BUDGET = Budget(quantization=Limits(min_sqnr_db=18), lowering=Limits(min_sqnr_db=18))


def build(tmp_path: Path, scheme: Scheme | FormatSchemes, **arguments: Any) -> Any:
    """Build the linear network from Python, and return the manifest of its first bundle."""
    torch.manual_seed(0)
    result = edgekit.build(
        Layers(),
        torch.zeros(2, 64),
        target=("android-arm64", "linux-x86_64"),
        calibration=torch.from_numpy(vectors(128, 1).inputs["x"]),
        evaluation=torch.from_numpy(vectors(100, 2).inputs["x"]),
        output=tmp_path,
        quantization=QuantSpec(scheme=scheme, last_layer=OutermostLayer.INT8),
        budget=BUDGET,
        **arguments,
    )
    return json.loads((result.bundles[0].folder / "manifest.json").read_text())


def legs(manifest: Any, name: str) -> dict[str | None, Any]:
    """Return the legs of a name by artifact."""
    return {leg["artifact"]: leg for leg in manifest["drift"]["legs"] if leg["name"] == name}


def test_a_scheme_for_each_format(tmp_path: Path) -> None:
    """Each artifact is held against the program of its own scheme, and the report says which that was."""
    manifest = build(tmp_path, FormatSchemes(pte=Scheme.W4_DYNAMIC, onnx=Scheme.INT8_DYNAMIC))
    schemes = {"model.pte": "8da4w", "model.onnx": "int8-dynamic"}
    assert {info["file"]: info["quantization"] for info in manifest["artifacts"]} == schemes
    quantization, lowering, total = (legs(manifest, name) for name in ("quantization", "lowering", "total"))
    assert quantization.keys() == lowering.keys() == total.keys() == schemes.keys()
    for file, scheme in schemes.items():
        assert quantization[file]["candidate"].endswith(f"{scheme})")
        assert lowering[file]["reference"] == quantization[file]["candidate"]
        assert total[file]["candidate"].endswith(f"{scheme})")
        assert lowering[file]["metrics"]["sqnr_db"] > 60  # against the other's program it would be that one's loss
    assert quantization["model.onnx"]["metrics"]["sqnr_db"] > quantization["model.pte"]["metrics"]["sqnr_db"] + 10
    limits = {info["file"]: info["size_limit"] for info in manifest["artifacts"]}
    assert limits["model.pte"] < limits["model.onnx"] < 0.4 * manifest["model"]["float_bytes"] + 40960
    found = inspect_file(tmp_path / "layers" / "android-arm64")
    assert isinstance(found, BundleFolder)
    assert found.quantization == schemes
    model = inspect_file(tmp_path / "layers" / "android-arm64" / "model.onnx")
    assert isinstance(model, OnnxFile)
    assert (model.dynamic_quantize_nodes, model.quantize_nodes) == (5, 0)


def test_float_is_called_float(tmp_path: Path) -> None:
    """Nothing is quantized, no place says int8, and the limit is that of float weights."""
    manifest = build(tmp_path, Scheme.FLOAT)
    assert manifest["verdict"] == "passed"
    for info in manifest["artifacts"]:
        assert (info["quantization"], info["int8_fraction"]) == ("float", 0)
        assert info["size_limit"] == int(1.4 * manifest["model"]["float_bytes"]) + 40960
    assert not any("int8)" in leg["candidate"] or "fake" in leg["candidate"] for leg in manifest["drift"]["legs"])
    assert legs(manifest, "quantization")[None]["metrics"]["max_abs_error"] == 0
    graph = onnx.load(tmp_path / "layers" / "android-arm64" / "model.onnx").graph
    assert not [node for node in graph.node if "Quantize" in node.op_type]


def test_one_format_alone(tmp_path: Path) -> None:
    """`formats=` leaves the other out, with a scheme that only this one holds."""
    manifest = build(tmp_path, Scheme.W8A16, formats=["onnx"])
    assert [info["file"] for info in manifest["artifacts"]] == ["model.onnx"]
    assert not (tmp_path / "layers" / "android-arm64" / "model.pte").exists()
    with pytest.raises(ProjectError, match="w8a16 is not for"):
        build(tmp_path / "both", Scheme.W8A16)
    with pytest.raises(ProjectError, match="no format tflite"):
        build(tmp_path / "wrong", Scheme.FLOAT, formats=["tflite"])


def test_golden_outputs_of_a_dynamic_onnx_are_those_of_one_sample(tmp_path: Path) -> None:
    """A device feeds one at a time, and the range of a batch would be another."""
    build(tmp_path, Scheme.INT8_DYNAMIC)
    folder = tmp_path / "layers" / "android-arm64"
    manifest = json.loads((folder / "manifest.json").read_text())
    session = runtime.load(folder / "model.onnx", Cpu.ARM64).session
    for golden in manifest["golden"]:
        (entry,) = [output for output in golden["outputs"] if output["artifact"] == "model.onnx"]
        x = np.fromfile(folder / golden["inputs"][0]["file"], np.float32).reshape(1, 64)
        expected = np.fromfile(folder / entry["file"], np.float32)
        assert np.abs(np.asarray(session.run(None, {"x": x})[0])[0] - expected).max() < 1e-4


def test_a_batch_that_the_model_fixes_stays(tmp_path: Path) -> None:
    """Both formats of a dynamic scheme are run with it alone."""
    torch.manual_seed(0)
    inputs, outputs = TensorSpec(name="x", shape=(1, 64)), TensorSpec(name="y", shape=(1, 10))
    calibration = vectors(64, 1)
    job = Job(
        source=source_from_module("fixed", Layers(), (inputs,), (outputs,), {}),
        calibration=calibration,
        evaluation=vectors(40, 2),
        baseline=None,
        quantization=QuantSpec(scheme=Scheme.INT8_DYNAMIC),
        budget=BUDGET,
    )
    result = build_job(job, (targets.load("linux-x86_64"),), tmp_path, Silent())
    assert result.passed
    assert {info.verified_batches for info in result.bundles[0].manifest.artifacts} == {(1,)}


def test_the_command_line_builds_what_the_project_names(tmp_path: Path) -> None:
    """A table of schemes, then one format of it; a second time it comes from the cache, whole."""
    assert run("init", "project", cwd=tmp_path).code == 0
    file = tmp_path / "project" / "edgekit.toml"
    schemes = 'scheme = { pte = "int8-dynamic", onnx = "w8a16" }'
    file.write_text(file.read_text().replace('\nscheme = "int8"', f"\n{schemes}"))
    arguments = ("build", "--target", "linux-arm64", "--project", "project", "--json")
    both = run(*arguments, cwd=tmp_path)
    assert both.code == 0, both.err
    (built,) = both.json["bundles"]
    found = {info["file"]: info for info in built["manifest"]["artifacts"]}
    assert {name: info["quantization"] for name, info in found.items()} == {
        "model.pte": "int8-dynamic",
        "model.onnx": "w8a16",
    }
    stages = [stage["stage"] for stage in both.json["seconds"]]
    assert {"quantize int8-dynamic", "quantize w8a16"} <= set(stages)
    one = run(*arguments, "--format", "onnx", cwd=tmp_path)
    assert one.code == 0, one.err
    assert [info["file"] for info in one.json["bundles"][0]["manifest"]["artifacts"]] == ["model.onnx"]
    assert not one.json["bundles"][0]["cached"]
    assert not any(stage["stage"] == "quantize int8-dynamic" for stage in one.json["seconds"])
    (lowering,) = [stage for stage in one.json["seconds"] if stage["stage"].startswith("lower")]
    assert lowering["cached"]
    again = run(*arguments, "--format", "onnx", cwd=tmp_path)
    assert again.json["bundles"][0]["cached"]

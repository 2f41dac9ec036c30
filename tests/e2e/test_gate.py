"""The gate on the real sample: faults, presets, a metric of one's own, and what is left for build servers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import edgekit as package
from edgekit.data import trace
from edgekit.errors import DataError
from edgekit.spec import Budget, Limits
from edgekit.spec.project import SAMPLE
from tests.e2e.conftest import TARGETS, Build, edgekit
from tests.programs.networks import TwoInTwoOut

pytestmark = pytest.mark.slow

METRIC = '''
def margin(reference, candidate, targets):
    """How much of the distance between the two likeliest classes is left, at worst."""
    def gap(values):
        ordered = values.copy()
        ordered.sort(axis=1)
        return ordered[:, -1] - ordered[:, -2]
    assert targets is not None
    return {"margin": float((gap(candidate) / gap(reference).clip(0.1)).mean())}
'''


def project_with(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the sample as a project and change its text."""
    assert edgekit("init", folder, cwd=folder.parent).code == 0
    file = folder / "edgekit.toml"
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    return folder


def test_a_build_leaves_xml_and_markdown(sample: Build, tmp_path: Path) -> None:
    """Also where everything comes from the cache; one suite for each target, and no failure."""
    wanted = [word for target in TARGETS for word in ("--target", target)]
    done = edgekit("build", *wanted, "--junit", "drift.xml", "--summary", "s.md", cwd=tmp_path,
                   EDGEKIT_CACHE=str(sample.cache))  # fmt: skip
    assert done.code == 0, done.err
    root = ElementTree.parse(tmp_path / "drift.xml").getroot()  # noqa: S314 - our own file
    assert [suite.attrib["name"] for suite in root] == [f"digits.{target}" for target in TARGETS]
    # Ten limits, and that all is finite for each of six legs, and the size of two files.
    assert [suite.attrib["tests"] for suite in root] == ["18", "18"]
    assert root.attrib["failures"] == "0"
    text = (tmp_path / "s.md").read_text()
    assert [f"### EdgeKit: digits.{target} passed" in text for target in TARGETS] == [True, True]


def test_intervals_stand_everywhere(sample: Build) -> None:
    """In the manifest, in report.json and in --json, the same numbers, about the value."""
    manifest = sample.manifest(TARGETS[0])
    report = json.loads((sample.bundle(TARGETS[0]) / "report.json").read_text())
    printed = sample.finished.json["bundles"][0]["manifest"]
    assert manifest["drift"] == report["drift"] == printed["drift"]
    assert manifest["drift"]["bootstrap"] == {"confidence": 0.95, "resamples": 1000}
    for leg in manifest["drift"]["legs"]:
        for name in ("mean_abs_error", "cosine", "top1_agreement", "accuracy"):
            interval = leg["intervals"][name]
            assert interval["low"] <= leg["metrics"][name] <= interval["high"], (leg["name"], name)


def perturb(source: Path, destination: Path, change: Callable[[Any], Any]) -> Path:
    """Write an .onnx with one of its larger weights changed."""
    model = onnx.load(source)
    weight = max((item for item in model.graph.initializer if len(item.dims) == 4), key=lambda item: item.dims[0])
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)), weight.name))
    onnx.save(model, destination)
    return destination


def test_compare_finds_a_perturbed_artifact(sample: Build, tmp_path: Path) -> None:
    """Alone it is over budget; beside the good one it is worse; the good one beside it is better and passes."""
    good = sample.bundle("linux-x86_64") / "model.onnx"
    assert edgekit("compare", perturb(good, tmp_path / "same.onnx", np.copy), cwd=tmp_path).code == 0
    bad = perturb(good, tmp_path / "bad.onnx", np.flip)
    alone = edgekit("compare", bad, "--junit", "j.xml", cwd=tmp_path)
    assert alone.code == 20
    assert ElementTree.parse(tmp_path / "j.xml").getroot().attrib["failures"] != "0"  # noqa: S314 - our own file
    beside, back = (edgekit("compare", *pair, "--json", cwd=tmp_path) for pair in ((good, bad), (bad, good)))
    assert (beside.code, back.code) == (20, 0)
    for answer, change in ((beside, "worse"), (back, "better")):
        (leg,) = answer.json["comparison"]["legs"]
        assert {one["metric"]: one["change"] for one in leg["metrics"]}["sqnr_db"] == change


def test_compare_finds_a_perturbed_baseline(tmp_path: Path) -> None:
    """What this host computes is held against a baseline that was tampered with: the server leg is over budget."""
    assert edgekit("baseline", "record", "--device", "cpu", "--output", "here.npz", cwd=tmp_path).code == 0
    good = trace.load(SAMPLE / "baseline.npz")
    outputs = {"logits": good.array("logits") * np.float32(1.01)}
    trace.save(trace.Trace(samples=good.samples, outputs=outputs, origin=good.origin), tmp_path / "bad.npz")
    for baseline, code in ((SAMPLE / "baseline.npz", 0), (tmp_path / "bad.npz", 20)):
        done = edgekit("compare", "here.npz", "--baseline", baseline, "--json", cwd=tmp_path)
        assert done.code == code
        (leg,) = done.json["drift"]["legs"]
        assert leg["name"] == "server"


def test_compare_two_builds(sample: Build, tmp_path: Path) -> None:
    """Two targets of one build: the same .pte, another .onnx, and no metric that is worse."""
    one, other = (sample.bundle(target) for target in TARGETS)
    done = edgekit("compare", one, other / "report.json", "--json", "--summary", "s.md", cwd=tmp_path)
    assert done.code == 0, done.err
    comparison = done.json["comparison"]
    pte, onnx_ = comparison["artifacts"]
    assert pte["old"]["sha256"] == pte["new"]["sha256"]
    assert onnx_["old"]["sha256"] != onnx_["new"]["sha256"]
    assert {setting["name"] for setting in comparison["settings"]} == {"target"}
    assert {one["change"] for leg in comparison["legs"] for one in leg["metrics"]} <= {"same", "noise", "better"}
    assert "model.pte: the same bytes" in (tmp_path / "s.md").read_text()
    assert done.err == ""


def test_a_preset_and_a_metric_of_ones_own_in_a_build(sample: Build, tmp_path: Path) -> None:
    """Both reach the manifest with intervals; a limit that the metric cannot keep fails the build."""
    limit = '[budget]\npreset = "classification"\n[budget.total.custom]\nmargin = {{ min = {} }}\n[budget.quantization]'
    changes = ('meaning = "logits"', 'meaning = "logits"\nmetric = "my.py:margin"')
    found = {}
    for least in (0.9, 1.5):
        folder = project_with(tmp_path / str(least), changes, ("[budget.quantization]", limit.format(least)))
        (folder / "my.py").write_text(METRIC)
        done = edgekit("build", "--target", "linux-x86_64", "--json", cwd=folder, EDGEKIT_CACHE=str(sample.cache))
        assert done.code == (0 if least < 1 else 20), done.err
        found[least] = done.json["bundles"][0]["manifest"]
    manifest = found[0.9]
    assert manifest["budget"]["preset"] == "classification"
    assert manifest["budget"]["total"]["min_accuracy_ratio"] == 0.98
    assert "metric" not in manifest["outputs"][0]
    total = next(leg for leg in manifest["drift"]["legs"] if leg["name"] == "total")
    assert total["metrics"]["custom"]["margin"] == pytest.approx(1, abs=0.05)
    interval = total["intervals"]["margin"]
    assert interval["low"] < total["metrics"]["custom"]["margin"] < interval["high"]
    broken = [check for leg in found[1.5]["drift"]["legs"] for check in leg["checks"] if check["result"] == "broken"]
    assert {check["name"] for check in broken} == {"min_margin"}


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("[budget.quantization]", '[budget]\npreset = "clasification"\n[budget.quantization]'), 3, "budget.preset"),
        (("[budget.quantization]", '[budget]\npreset = "detection"\n[budget.quantization]'), 3, 'meaning = "boxes"'),
        (('meaning = "logits"', 'meaning = "logits"\nmetric = "gone.py:margin"'), 3, "gone.py does not exist"),
        (('meaning = "logits"', 'meaning = "logits"\nmetric = "model.py:margin"'), 3, "no function margin"),
    ],
)
def test_wrong_gates_are_told_before_the_work(change: tuple[str, str], code: int, message: str, tmp_path: Path) -> None:
    """With the exit code of a wrong project."""
    folder = project_with(tmp_path / "wrong", change)
    done = edgekit("build", "--target", "linux-x86_64", "--json", cwd=folder)
    assert done.code == code
    assert message in done.json["error"]["message"]
    assert "capture" not in done.err


def test_missing_true_values_are_told_before_the_work(tmp_path: Path) -> None:
    """A budget on accuracy without labels; with the agreement limited instead, it is not an error of the data."""
    folder = project_with(tmp_path / "plain")
    with np.load(folder / "evaluation.npz") as archive:
        pictures = archive["pictures"]
    np.savez(folder / "evaluation.npz", allow_pickle=False, pictures=pictures)
    done = edgekit("build", "--target", "linux-x86_64", "--json", cwd=folder)
    assert done.code == 6
    assert "no true values for logits" in done.json["error"]["message"]
    np.savez(folder / "evaluation.npz", allow_pickle=False, pictures=pictures[:1], labels=np.array([0]))
    done = edgekit("build", "--target", "linux-x86_64", "--json", cwd=folder)
    assert done.code == 6
    assert "fewer than two" in done.json["error"]["message"]


def test_several_outputs_from_python(tmp_path: Path) -> None:
    """A model with logits and an embedding: both measured in the real artifacts, with their own true values."""
    torch.manual_seed(0)
    model, generator = TwoInTwoOut(), torch.Generator().manual_seed(1)

    def batch(count: int) -> dict[str, torch.Tensor]:
        return {"left": torch.randn(count, 6, generator=generator), "right": torch.randn(count, 4, generator=generator)}

    held_out = batch(120)
    with torch.no_grad():
        answers = model(held_out["left"], held_out["right"])[0].argmax(1)

    def build(**changes: Any) -> Any:
        arguments: dict[str, Any] = {
            "target": "linux-x86_64", "calibration": batch(128), "output": tmp_path,
            "evaluation": {**held_out, "target.kind": answers}, "output_names": ("kind", "code"),
            "meanings": {"kind": "logits", "code": "embedding"},
            "metrics": {"code": worst},
            "budget": Budget(total=Limits(min_accuracy_ratio=0.9, min_neighbour_agreement=0.5)),
        }  # fmt: skip
        example = (held_out["left"][:2], held_out["right"][:2])
        return package.build(model, example, **(arguments | changes))

    with pytest.raises(DataError, match="no true values for kind"):
        build(evaluation=held_out)
    with pytest.raises(DataError, match=r"kin, which is no output; did you mean kind\?"):
        build(meanings={"kin": "logits"})
    with pytest.raises(DataError, match="boxes, scores and classes"):
        build(meanings={"kind": "scores"})
    result = build()
    legs = {(leg.name, leg.artifact, leg.output): leg for leg in result.bundles[0].manifest.drift.legs}
    for file in ("model.pte", "model.onnx"):
        assert legs["total", file, "kind"].metrics.reference_accuracy == 1
        assert 0.9 < (legs["total", file, "kind"].metrics.accuracy or 0) <= 1
        assert 0.5 < (legs["total", file, "code"].metrics.neighbour_agreement or 0) <= 1
        assert legs["total", file, "code"].metrics.custom["worst"] > 0
    assert result.passed


def worst(reference: np.ndarray, candidate: np.ndarray, targets: np.ndarray | None) -> float:
    """Return the largest error."""
    return float(np.abs(reference - candidate).max())

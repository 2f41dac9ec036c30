"""The legs of a device: right, perturbed, of another artifact, of other inputs, and by the command line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from edgekit.apps import device
from edgekit.bundles import golden
from edgekit.data import trace
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift import gate
from edgekit.drift.fixed import by_value, excused
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import DriftReport, Leg, LimitResult
from edgekit.drift.statistics import Interval
from edgekit.errors import BundleError, DataError
from edgekit.spec import Budget, CustomLimit, LegBudgets, Limits
from tests.unit import devices
from tests.unit.test_cli import error_of, run
from tests.unit.test_vectors import VECTORS


def measured(folder: Path, candidate: Trace, budget: Budget = devices.BUDGET) -> dict[str, Leg]:
    """Return the two legs of a trace."""
    devices.write_bundle(folder, budget=budget)
    report = device.report(device.open_bundle(folder), [candidate])
    return {leg.name: leg for leg in report.legs}


def test_golden_vectors_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Values, labels and tolerances, for the reference and each artifact."""
    manifest = devices.write_bundle(tmp_path)
    found = golden.read(tmp_path, manifest)
    reference, artifacts = devices.traces()
    np.testing.assert_array_equal(found.reference.outputs["logits"], reference.outputs["logits"][::4])
    for file, one in artifacts.items():
        np.testing.assert_array_equal(found.artifacts[file].outputs["logits"], one.outputs["logits"][::4])
    np.testing.assert_array_equal(found.reference.samples.inputs["image"], reference.samples.inputs["image"][::4])
    assert found.reference.samples.labels is not None
    assert found.reference.samples.labels.tolist() == reference.samples.labels[::4].tolist()  # type: ignore[index]
    assert set(found.tolerances) == {(owner, "logits") for owner in (None, *artifacts)}


def test_a_device_that_computes_as_the_host_passes(tmp_path: Path) -> None:
    """The leg device is identical, the total is the host's, and each says where it was computed."""
    legs = measured(tmp_path, devices.on_device())
    assert legs["device"].metrics.sqnr_db is None
    assert legs["total"].metrics.accuracy == 1
    assert not any(leg.breaches for leg in legs.values())
    assert {check.name for check in legs["device"].checks} == {"finite", "min_sqnr_db", "golden_tolerance"}
    assert "Pixel 8" in legs["device"].candidate
    assert "NVIDIA" in legs["total"].reference
    assert "ExecuTorch" in legs["device"].reference
    assert all(check.interval is None for leg in legs.values() for check in leg.checks)


def test_the_chip_and_the_provider_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What computed is said by the comparison and by a look at the trace; an older app says nothing of it."""
    monkeypatch.setenv("COLUMNS", "200")
    devices.write_bundle(tmp_path / "bundle")
    chip = devices.on_device("model.onnx", chip="hexagon", provider="QNNExecutionProvider")
    trace.save(chip, tmp_path / "npu.npz")
    devices.write_trace(tmp_path / "cpu.npz")
    for name, told in (("npu", True), ("cpu", False)):
        code, out, err = run(capfd, "compare", tmp_path / f"{name}.npz", "--bundle", tmp_path / "bundle")
        assert code == 0
        assert ("model.onnx was computed by QNNExecutionProvider on hexagon." in out + err) is told
    code, out, _ = run(capfd, "inspect", tmp_path / "npu.npz")
    assert code == 0
    assert "Google Pixel 8 (Tensor G3) (hexagon, int8)" in out
    assert "QNNExecutionProvider" in out


def test_a_perturbed_device_fails_in_its_own_leg(tmp_path: Path) -> None:
    """The negative twin: a tenth of a step passes, thirty steps break SQNR and tolerance."""
    slight = measured(tmp_path / "a", devices.on_device(off=0.1))
    assert slight["device"].metrics.sqnr_db is not None
    assert not slight["device"].breaches
    wrong = measured(tmp_path / "b", devices.on_device(off=30))
    assert {check.name for check in wrong["device"].breaches} == {"min_sqnr_db", "golden_tolerance"}
    assert "golden_tolerance" in {check.name for check in wrong["total"].breaches}


def test_one_wrong_element_is_over_its_tolerance(tmp_path: Path) -> None:
    """Where a mean says nothing: a single value of a single sample."""
    candidate = devices.on_device()
    outputs = candidate.array("logits").copy()
    outputs[3, 7] += 0.3
    legs = measured(tmp_path, replace(candidate, outputs={"logits": outputs}))
    (check,) = legs["device"].breaches
    assert (check.name, check.metric) == ("golden_tolerance", "golden_error")
    assert check.value == pytest.approx(0.3, abs=1e-5)
    assert check.limit < 0.3


def test_a_value_that_is_not_finite_fails(tmp_path: Path) -> None:
    """NaN breaks any budget, and no number becomes infinite on the way."""
    candidate = devices.on_device()
    outputs = candidate.array("logits").copy()
    outputs[0, 0] = np.nan
    legs = measured(tmp_path, replace(candidate, outputs={"logits": outputs}))
    assert "finite" in {check.name for check in legs["device"].breaches}
    json.loads(DriftReport(samples=5, legs=tuple(legs.values())).model_dump_json())


def test_what_the_host_breaks_too_is_not_judged(tmp_path: Path) -> None:
    """Five inputs may be hard ones; only the device's own faults count, and the leg device has no such excuse."""
    strict = Budget(total=Limits(min_sqnr_db=90), device=Limits(min_sqnr_db=90))
    legs = measured(tmp_path / "a", devices.on_device(off=0.1), strict)
    found = {name: {check.name: check.result for check in leg.checks} for name, leg in legs.items()}
    assert found["total"]["min_sqnr_db"] is LimitResult.NOT_JUDGED
    assert found["device"]["min_sqnr_db"] is LimitResult.BROKEN
    assert {check.name for check in legs["total"].breaches} <= {"golden_tolerance"}


LIMIT_CASES: list[dict[str, Any]] = json.loads((VECTORS / "limits" / "cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", LIMIT_CASES, ids=lambda case: case["name"])
def test_limits_are_judged_as_the_apps_judge_them(case: dict[str, Any]) -> None:
    """By the vectors that all of them read."""
    limits = Limits.model_validate_json(json.dumps(case["limits"]))
    found = excused(*(by_value(_leg_with(case[side], limits)) for side in ("device", "host")))
    judged = {check.name: (check.value, str(check.result)) for check in found.checks if check.name != "finite"}
    for expected in case["expected"]:
        if expected["limit"] not in judged:  # the apps list what they cannot measure, the SDK notes it
            assert expected["result"] == "not_judged"
            continue
        value, result = judged[expected["limit"]]
        assert result == expected["result"], expected["limit"]
        assert value == (None if expected["value"] is None else pytest.approx(expected["value"]))


def _leg_with(measured: dict[str, float | None], limits: Limits) -> Leg:
    """Return a leg with these metrics, judged with intervals that know nothing."""
    values = {name: value for name, value in measured.items() if value is not None}
    values["sqnr_db"] = float("inf") if measured["sqnr_db"] is None else measured["sqnr_db"]
    if "accuracy" in values:
        drop = values["reference_accuracy"] - values["accuracy"]
        values["accuracy_drop"] = drop
        values["accuracy_ratio"] = 1 - drop / values["reference_accuracy"] if values["reference_accuracy"] else 1.0
    metrics = Metrics.model_validate({"non_finite": 0} | measured)
    unsure = {name: Interval(low=-1e9, high=1e9) for name in values}
    checks = gate.checks(metrics, values, unsure, limits)
    return Leg(
        name="total", artifact=None, output="logits", reference="", candidate="", metrics=metrics, intervals={},
        checks=checks,
    )  # fmt: skip


def test_the_origin_that_apps_write_is_read() -> None:
    """With all its fields."""
    text = (VECTORS / "npz" / "origin.json").read_text(encoding="utf-8")
    origin = Origin.model_validate_json(text)
    assert origin.model_dump(mode="json") == json.loads(text)


def test_few_samples_are_no_excuse(tmp_path: Path) -> None:
    """One wrong answer of five would be noise among drawn samples; these are always the same."""
    candidate = devices.on_device()
    outputs = candidate.array("logits").copy()
    outputs[0] = np.roll(outputs[0], 1)
    legs = measured(tmp_path, replace(candidate, outputs={"logits": outputs}))
    total = {check.name: check for check in legs["total"].breaches}
    assert total["min_top1_agreement"].value == 0.8
    assert not legs["total"].doubts


def test_outputs_may_have_limits_of_their_own(tmp_path: Path) -> None:
    """Those of the output go before the leg's."""
    budget = Budget(
        device=Limits(min_sqnr_db=5), outputs={"logits": LegBudgets(device=Limits(min_sqnr_db=90, min_cosine=0.5))}
    )
    legs = measured(tmp_path, devices.on_device(off=0.1), budget)
    assert [check.name for check in legs["device"].breaches] == ["min_sqnr_db"]
    assert "min_cosine" in {check.name for check in legs["device"].checks}


def test_limits_that_golden_inputs_cannot_answer_are_named(tmp_path: Path) -> None:
    """The project's own metrics are not in a bundle; what was asked for and not judged is said."""
    budget = Budget(total=Limits(max_mean_iou_drop=0.1, custom={"psnr": CustomLimit(min=30)}))
    devices.write_bundle(tmp_path, budget=budget)
    report = device.report(device.open_bundle(tmp_path), [devices.on_device()])
    assert report.notes[1] == "Not measured on golden inputs: total.max_mean_iou_drop, total.min_psnr."


def test_another_artifact_is_refused(tmp_path: Path) -> None:
    """By its digest, whatever it is called."""
    devices.write_bundle(tmp_path)
    opened = device.open_bundle(tmp_path)
    for sha256 in ("f" * 64, None):
        with pytest.raises(BundleError, match="another artifact") as caught:
            device.report(opened, [devices.on_device(artifact_sha256=sha256)])
        assert "--bundle" in caught.value.hint


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    """Values, number, names and labels must be the golden ones."""
    devices.write_bundle(tmp_path)
    opened, right = device.open_bundle(tmp_path), devices.on_device()
    image, labels = right.samples.array("image"), right.samples.labels
    assert labels is not None
    for samples, name in (
        (Samples(inputs={"image": image + 1}, labels=labels), "image"),
        (Samples(inputs={"image": image[:4]}), "image"),
        (Samples(inputs={"image": image.astype(np.float64)}), "image"),
        (Samples(inputs={"image": image, "more": image}), "more"),
        (Samples(inputs={"image": image}, labels=labels[::-1].copy()), "labels"),
    ):
        with pytest.raises(DataError, match=f"{name} differ"):
            device.report(opened, [replace(right, samples=samples)])
    unlabelled = replace(right, samples=Samples(inputs={"image": image}))
    assert not device.report(opened, [unlabelled]).legs[0].breaches


def test_the_bundle_is_found_by_the_artifact(tmp_path: Path) -> None:
    """In artifacts/MODEL/TARGET; bundles that would judge alike are one, others must be named."""
    candidate = devices.on_device(off=0.1)
    with pytest.raises(BundleError, match="No bundle") as caught:
        device.compare_trace(candidate, None, (tmp_path,))
    assert "--bundle" in caught.value.hint
    devices.write_bundle(tmp_path / "artifacts/digits/android-arm64")
    broken = tmp_path / "artifacts/digits/old"
    broken.mkdir()
    (broken / "manifest.json").write_text('{"schema_version": 7}', encoding="utf-8")
    devices.write_bundle(tmp_path / "artifacts/digits/ios-arm64")
    assert device.compare_trace(candidate, None, (tmp_path, tmp_path)).within_budget
    strict = devices.BUDGET.model_copy(update={"device": Limits(min_sqnr_db=90)})
    devices.write_bundle(tmp_path / "artifacts/digits/linux-arm64", budget=strict)
    with pytest.raises(BundleError, match="Several bundles"):
        device.compare_trace(candidate, None, (tmp_path,))
    named = device.compare_trace(candidate, tmp_path / "artifacts/digits/linux-arm64", ())
    assert not named.within_budget


def test_golden_vectors_that_are_cut_off_are_told(tmp_path: Path) -> None:
    """A manifest may be right about the digest and wrong about the shape."""
    manifest = devices.write_bundle(tmp_path)
    first = manifest.golden[0]
    wrong = first.model_copy(update={"inputs": (first.inputs[0].model_copy(update={"shape": (1, 7)}),)})
    with pytest.raises(BundleError, match="not float32 of shape"):
        golden.read(tmp_path, manifest.model_copy(update={"golden": (wrong, *manifest.golden[1:])}))
    with pytest.raises(BundleError, match="no golden inputs"):
        golden.read(tmp_path, manifest.model_copy(update={"golden": ()}))


def test_compare_judges_a_trace_of_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Table, JSON, JUnit and Markdown as for any leg; exit code 20 over budget, 11 for another artifact."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / "artifacts/digits/android-arm64"
    devices.write_bundle(folder)
    devices.write_trace(tmp_path / "right.npz", off=0.1)
    devices.write_trace(tmp_path / "wrong.npz", off=30)
    devices.write_trace(tmp_path / "other.npz", artifact_sha256="f" * 64)
    code, out, err = run(capfd, "compare", "right.npz")
    assert (code, err) == (0, "")
    for needed in ("device pte", "total pte", "golden_error", "Pixel 8", "judged by its value alone", "PASSED"):
        assert needed in out
    code, out, _ = run(capfd, "compare", "wrong.npz", "--json", "--junit", "j.xml", "--summary", "s.md")
    assert code == 20
    legs = json.loads(out)["drift"]["legs"]
    assert [(leg["name"], leg["artifact"], leg["output"]) for leg in legs] == [
        ("device", "model.pte", "logits"), ("total", "model.pte", "logits"),
    ]  # fmt: skip
    cases = ElementTree.parse("j.xml").iter("testcase")  # noqa: S314 - our own file
    failed = {(case.get("classname"), case.get("name")) for case in cases if case.find("failure") is not None}
    assert ("wrong.npz.device model.pte logits", "golden_tolerance") in failed
    assert "| device model.pte logits | golden_tolerance | &#60;= " in Path("s.md").read_text("utf-8")
    code, out, _ = run(capfd, "compare", "other.npz", "--bundle", folder, "--json")
    assert code == 11
    assert "another artifact" in error_of(out)["message"]


def test_bundle_and_baseline_are_for_their_own_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An option that would be ignored is refused."""
    monkeypatch.chdir(tmp_path)
    devices.write_bundle(tmp_path / "bundle")
    devices.write_trace(tmp_path / "device.npz")
    trace.save(devices.traces()[0], tmp_path / "server.npz")
    assert run(capfd, "compare", "server.npz", "--bundle", "bundle")[0] == 2
    assert run(capfd, "compare", "device.npz", "--bundle", "bundle", "--baseline", "server.npz")[0] == 2


def test_two_traces_of_devices_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second one's verdict counts."""
    monkeypatch.chdir(tmp_path)
    devices.write_bundle(tmp_path / "artifacts/digits/android-arm64")
    devices.write_trace(tmp_path / "old.npz")
    devices.write_trace(tmp_path / "new.npz", off=30)
    code, out, _ = run(capfd, "compare", "old.npz", "new.npz", "--json")
    assert code == 20
    (leg, _) = json.loads(out)["comparison"]["legs"]
    assert {one["metric"]: one["change"] for one in leg["metrics"]}["sqnr_db"] == "worse"

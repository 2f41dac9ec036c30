"""Accuracy-aware fallback, from the job to the bundle: real runtimes judge, and the choice can be pasted."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit import targets
from edgekit.base.progress import Silent
from edgekit.bundles.result import Built
from edgekit.pipeline.build import build_job
from edgekit.pipeline.job import Job
from edgekit.spec import Fallback, QuantSpec, Scheme
from tests.programs.networks import faulty_job

pytestmark = pytest.mark.slow
AUTO = QuantSpec(fallback=Fallback.AUTO, fallback_limit=0.21)


def build(job: Job, folder: Path) -> Built:
    """Build for one target, with nothing cached."""
    (made,) = build_job(job, (targets.load("linux-arm64"),), folder, Silent()).bundles
    return made


@pytest.fixture(scope="module")
def rescued(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return the bundle of the faulty network with fallback."""
    return build(faulty_job(AUTO, 20), tmp_path_factory.mktemp("rescued"))


def test_plain_int8_misses_the_budget(tmp_path: Path) -> None:
    """The twin of all below: without fallback the verdict is failed, and nothing is kept."""
    plain = build(faulty_job(QuantSpec(), 20), tmp_path)
    assert plain.manifest.verdict == "failed"
    assert {leg.name for leg in plain.manifest.drift.legs if leg.breaches} == {"quantization", "total"}
    assert plain.manifest.fallback is None
    assert plain.manifest.float_layers == ()
    assert {one.quantization for one in plain.manifest.artifacts} == {Scheme.INT8}


def test_the_faulty_layer_alone_is_kept(rescued: Built) -> None:
    """Both artifacts are within the budget, and the report says what it cost and bought."""
    manifest = rescued.manifest
    assert manifest.verdict == "passed"
    assert manifest.float_layers == ("middle",)
    assert {one.quantization for one in manifest.artifacts} == {Scheme.INT8_MIXED}
    assert [one.delegated_fraction for one in manifest.artifacts] == [1, 1]
    report = manifest.fallback
    assert report is not None
    assert (report.outcome, report.attempts) == ("met", 2)
    (kept,) = report.kept
    assert (kept.layer.path, kept.layer.extra_bytes) == ("middle", 3 * 576 - 4 * 8)
    assert kept.gain_db is not None
    assert kept.gain_db > 10
    assert report.float_share == pytest.approx(576 / 2824)
    totals = [leg.metrics.sqnr_db for leg in manifest.drift.legs if leg.name == "total"]
    assert len(totals) == 2
    # What was chosen in simulation is what the runtimes compute.
    assert totals == pytest.approx([kept.sqnr_db] * 2, abs=1)
    written = json.loads(rescued.files["report.json"])
    assert written["fallback"]["kept"][0]["layer"]["path"] == "middle"
    assert written["float_layers"] == ["middle"]


def test_pasted_lines_give_the_same_bytes_without_a_search(rescued: Built, tmp_path: Path) -> None:
    """The project file with the lines in it builds the same artifacts."""
    assert rescued.manifest.fallback is not None
    pasted = QuantSpec.model_validate_json(json.dumps(tomllib.loads("\n".join(rescued.manifest.fallback.paste))))
    again = build(faulty_job(pasted, 20), tmp_path)
    assert again.manifest.fallback is None
    assert again.manifest.float_layers == ("middle",)
    assert again.manifest.verdict == "passed"
    for name in ("model.pte", "model.onnx"):
        assert again.files[name] == rescued.files[name]


def test_where_the_limit_is_reached_the_verdict_is_failed(tmp_path: Path) -> None:
    """What was tried is told: the faulty layer is kept, the next is too large."""
    failed = build(faulty_job(AUTO, 40), tmp_path).manifest
    assert failed.verdict == "failed"
    assert failed.fallback is not None
    assert failed.fallback.outcome == "limit"
    assert [one.layer.path for one in failed.fallback.kept] == ["middle"]
    assert failed.fallback.float_share <= failed.fallback.float_limit == 0.21


def test_nothing_is_searched_where_nothing_is_over_budget_or_int8_is_not_to_blame(tmp_path: Path) -> None:
    """A good build has no report; one that fails by its lowering leg alone keeps nothing."""
    job = faulty_job(AUTO, 5)
    lax = job.budget.total.model_copy(update={"min_top1_agreement": 0.0, "min_accuracy_ratio": 0.0})
    job = replace(job, budget=job.budget.model_copy(update={"total": lax}))
    assert build(job, tmp_path / "good").manifest.fallback is None
    lowering = job.budget.lowering.model_copy(update={"max_abs_error": 0.0})
    strict = replace(job, budget=job.budget.model_copy(update={"lowering": lowering}))
    report = build(strict, tmp_path / "strict").manifest.fallback
    assert report is not None
    assert (report.outcome, report.kept, report.attempts) == ("not int8", (), 1)

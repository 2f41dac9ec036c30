"""What a change did, told from the numbers of two builds."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.base import digest
from edgekit.bundles.changes import Change, MetricChange, Side
from edgekit.bundles.compare import compare_builds, read_side
from edgekit.bundles.manifest import report
from edgekit.drift.report import DriftReport, Leg
from edgekit.drift.statistics import Interval
from edgekit.render.changes import artifact_row
from edgekit.spec import Bootstrap
from tests import pages
from tests.unit import examples, profiles
from tests.unit.test_cli import run


def a_leg(low: float = 31.0, high: float = 33.0, **metrics: Any) -> Leg:
    """Return a leg with an interval for its ratio alone; ``checks`` are the leg's, all else its metrics'."""
    return examples.leg("total", "model.pte", **metrics).model_copy(
        update={"intervals": {"sqnr_db": Interval(low=low, high=high)}}
    )


def side(*legs: Leg, samples: str = "s", **changes: Any) -> Side:
    """Return a build with these legs; keywords are changes of its report."""
    drift = DriftReport(samples=360, samples_sha256=samples, legs=legs)
    return Side(
        path="p", drift=drift, report=report(examples.manifest()).model_copy(update={"drift": drift, **changes})
    )


def metric(old: Side, new: Side, name: str) -> MetricChange:
    """Return what became of a metric of the only leg."""
    (leg,) = compare_builds(old, new).legs
    return {one.metric: one for one in leg.metrics}[name]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (a_leg(), a_leg(), Change.SAME),
        (a_leg(31, 33), a_leg(32, 34, sqnr_db=33.0), Change.NOISE),
        (a_leg(31, 33), a_leg(34, 36, sqnr_db=35.0), Change.BETTER),
        (a_leg(31, 33), a_leg(28, 30, sqnr_db=29.0), Change.WORSE),
        (a_leg(31, 33), a_leg(34, None, sqnr_db=None), Change.BETTER),  # type: ignore[arg-type]
        (a_leg(31, None, sqnr_db=None), a_leg(28, 30, sqnr_db=29.0), Change.WORSE),  # type: ignore[arg-type]
    ],
)
def test_a_change_is_told_apart_from_noise(old: Leg, new: Leg, change: Change) -> None:
    """By whether the intervals overlap; identical outputs are better than any."""
    assert metric(side(old), side(new), "sqnr_db").change is change


@pytest.mark.parametrize(
    ("name", "better"), [("max_abs_error", 0.1), ("mean_abs_error", 0.01), ("kl_divergence", 0.0), ("cosine", 1.0),
                         ("top1_agreement", 1.0), ("accuracy", 1.0), ("mae", 0.5), ("mean_iou", 0.9)]
)  # fmt: skip
def test_each_metric_has_a_direction(name: str, better: float) -> None:
    """Errors shrink, agreements grow; without intervals the values decide."""
    before = {"mae": 1.0, "mean_iou": 0.5, "cosine": 0.99}.get(name)
    old, new = (side(a_leg(**({name: value} if value is not None else {}))) for value in (before, better))
    assert metric(old, new, name).change is Change.BETTER
    assert metric(new, old, name).change is Change.WORSE


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("cosine", 0.9985, 0.9988), ("sqnr_db", 32.0, 32.4), ("top1_agreement", 0.9901, 0.9909),
     ("max_abs_error", 0.4, 0.41)],
)  # fmt: skip
def test_what_nobody_would_act_on_is_small(name: str, before: float, after: float) -> None:
    """Neither better nor worse; ten times as much is, and an answer that is no number always."""
    old, new, far = (side(a_leg(**{name: value})) for value in (before, after, before + 10 * (after - before)))
    assert metric(old, new, name).change is Change.SMALL
    assert metric(new, old, name).change is Change.SMALL
    assert metric(old, far, name).change in (Change.BETTER, Change.WORSE, Change.NOISE)
    one, two = (side(a_leg(non_finite=count)) for count in (0, 1))
    assert metric(one, two, "non_finite").change is Change.WORSE


def test_own_metrics_have_the_direction_of_their_limit() -> None:
    """Without a limit nobody has said which way is better."""
    checks = (examples.check("max_delta", 3.0, 1.0),)
    old, new = a_leg(custom={"delta": 2.0, "odd": 1.0}), a_leg(custom={"delta": 1.0, "odd": 2.0}, checks=checks)
    assert metric(side(old), side(new), "delta").change is Change.BETTER
    assert metric(side(old), side(new), "odd").change is Change.DIFFERS


def test_other_samples_are_not_judged() -> None:
    """Answers to different questions are shown, and which is better is not said."""
    found = compare_builds(side(a_leg()), side(a_leg(40, 41, sqnr_db=40.5), samples="t"))
    assert {one.metric: one for one in found.legs[0].metrics}["sqnr_db"].change is Change.DIFFERS
    assert "other evaluation samples" in found.notes[0]
    assert compare_builds(side(a_leg()), side(a_leg())).notes == ()


def test_legs_and_metrics_of_one_side_only() -> None:
    """Neither is dropped."""
    other = examples.leg("total", "model.onnx")
    found = compare_builds(side(a_leg(), other), side(a_leg(mae=0.5)))
    assert [(leg.artifact, leg.sides) for leg in found.legs] == [("model.pte", "both"), ("model.onnx", "old")]
    mae = {one.metric: one for one in found.legs[0].metrics}["mae"]
    assert (mae.old, mae.new, mae.change) == (None, 0.5, Change.DIFFERS)


def test_files_and_settings() -> None:
    """Sizes, operators, delegates, what is delegated, versions and weights; nothing where nothing changed."""
    changed = (
        examples.artifact(operators=("aten::add.out",), delegates=(), not_delegated=("Mul",), bytes=70_000),
        examples.artifact("model.onnx", bytes=71_234),
    )
    producer = {"edgekit": "0.2.0", "onnx": "1"}
    found = compare_builds(side(a_leg()), side(a_leg(), artifacts=changed, producer=producer))
    pte = found.artifacts[0]
    assert (pte.operators_added, pte.operators_removed) == (("aten::add.out",), ())
    assert (pte.delegates_added, pte.delegates_removed) == ((), ("XnnpackBackend",))
    assert (pte.not_delegated_added, pte.not_delegated_removed) == (("Mul",), ())
    assert {setting.name: (setting.old, setting.new) for setting in found.settings} == {
        "edgekit": ("0.1.0", "0.2.0"), "torch": ("2.13.0", None), "onnx": (None, "1"),
    }  # fmt: skip
    same = compare_builds(side(a_leg()), side(a_leg()))
    assert same.settings == ()
    assert not any(getattr(one, f"{kind}_added") for one in same.artifacts for kind in ("operators", "delegates"))


def test_a_report_may_say_that_a_file_had_no_bytes() -> None:
    """Nothing is larger than nothing by a share of it."""
    empty = (examples.artifact(bytes=0), examples.artifact("model.onnx"))
    found = compare_builds(side(a_leg(), artifacts=empty), side(a_leg()))
    assert artifact_row(found.artifacts[0])[1] == "0 B to 63.4 kB"
    assert artifact_row(found.artifacts[1])[1].endswith(" %)")


def test_bare_files_are_matched_whatever_their_names() -> None:
    """Two artifacts that were measured now are the old and the new one."""
    drifts = [
        DriftReport(samples=9, samples_sha256="s", legs=(examples.leg("total", name),)) for name in ("a.pte", "b.onnx")
    ]
    found = compare_builds(*(Side(path="p", report=None, drift=drift) for drift in drifts))
    assert [leg.sides for leg in found.legs] == ["both"]


def profiled(folder: Path, *, factor: float = 1.0, host: str = profiles.HOST, phone: str | None = None) -> Path:
    """Write a bundle with a profile whose times are a multiple of the example's, and perhaps with a phone's."""
    examples.write_bundle(folder)
    sha256 = digest.of_file(folder / "manifest.json")
    profile = profiles.profile()
    costs = [
        cost.model_copy(
            update={
                "latency": cost.latency.model_copy(
                    update={"median_ms": cost.latency.median_ms * factor, "p99_ms": cost.latency.p99_ms * factor * 2}
                )
            }
        )
        for cost in profile.costs
    ]
    changed = profile.model_copy(update={"manifest_sha256": sha256, "costs": tuple(costs), "host": host})
    (folder / "profile.json").write_text(changed.to_json(), encoding="utf-8")
    if phone is not None:
        (folder / "device.json").write_text(profiles.on_phone(sha256, phone, factor).to_json(), encoding="utf-8")
    return folder


def test_latency_of_profiled_bundles(tmp_path: Path) -> None:
    """Median and p99 of each artifact on the host and on the phone, and their ratios."""
    old, new = profiled(tmp_path / "old", phone="Pixel 8"), profiled(tmp_path / "new", factor=0.5, phone="Pixel 8")
    found = compare_builds(read_side(old), read_side(new))
    assert [(one.artifact, one.where) for one in found.latency] == [
        (file, where) for where in ("host", "device") for file in ("model.pte", "model.onnx")
    ]
    for one in found.latency:
        assert one.old is not None
        assert one.new is not None
        assert one.median_ratio == pytest.approx(0.5)
        assert one.new.median_ms == pytest.approx(one.old.median_ms * 0.5)
    assert not any("Latency" in note for note in found.notes)


def test_latency_that_was_not_measured(tmp_path: Path) -> None:
    """One side alone has no ratio; a profile of another build, or one that cannot be read, is none."""
    old, new = profiled(tmp_path / "old"), examples.write_bundle(tmp_path / "new")
    first = compare_builds(read_side(old), read_side(new)).latency[0]
    assert first.old is not None
    assert (first.new, first.median_ratio, first.p99_ratio) == (None, None, None)
    for text in (
        (old / "profile.json").read_text("utf-8").replace('"manifest_sha256": "', '"manifest_sha256": "x'),
        "{",
    ):
        (old / "profile.json").write_text(text, encoding="utf-8")
        latency = compare_builds(read_side(old), read_side(new)).latency
        assert [(one.where, one.old, one.new) for one in latency] == [("host", None, None)] * 2
    assert compare_builds(*(Side(path="p", report=None, drift=side(a_leg()).drift) for _ in range(2))).latency == ()


def test_other_machines_are_noted(tmp_path: Path) -> None:
    """A ratio between two machines, or two phones, says little of the change."""
    old = profiled(tmp_path / "old", phone="Pixel 8")
    new = profiled(tmp_path / "new", host="a laptop", phone="Galaxy A52s")
    notes = [note for note in compare_builds(read_side(old), read_side(new)).notes if note.startswith("Latency")]
    assert ["two machines" in notes[0], "a laptop" in notes[0], "two devices" in notes[1]] == [True] * 3


def test_latency_is_shown_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Table, Markdown, page and JSON; in words where nothing was measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "130")
    profiled(tmp_path / "old", phone="Pixel 8")
    profiled(tmp_path / "new", factor=0.5, phone="Pixel 8")
    examples.write_bundle(tmp_path / "bare")
    code, out, _ = run(capfd, "compare", "old", "new", "--page", "p.html", "--summary", "s.md")
    assert code == 0
    row = next(line for line in out.splitlines() if line.split()[:2] == ["model.pte", "device"])
    assert row.split()[2:] == ["0.800", "ms", "to", "0.400", "ms", "0.50", "1.600", "ms", "to", "0.800", "ms", "0.50"]
    summary = Path("s.md").read_text("utf-8")
    assert "| model.pte | device | 0.800 ms to 0.400 ms | 0.50 | 1.600 ms to 0.800 ms | 0.50 |" in summary
    page = pages.read(Path("p.html").read_text("utf-8"))
    assert pages.disagreements(page, page.documents) == []
    assert any(given["data-path"] == "/comparison/latency/2/median_ratio" for given, _ in page.figures)
    code, out, _ = run(capfd, "compare", "bare", "new", "--page", "p.html")
    assert code == 0
    assert "not measured to " in out
    assert "not measured" in " ".join(pages.read(Path("p.html").read_text("utf-8")).rest)
    code, out, _ = run(capfd, "compare", "bare", "bare", "--json")
    assert {one["median_ratio"] for one in json.loads(out)["comparison"]["latency"]} == {None}


def test_other_confidence_levels_are_noted() -> None:
    """Intervals of different levels do not compare as they stand."""
    old, new = side(a_leg()), side(a_leg())
    wide = new.drift.model_copy(update={"bootstrap": Bootstrap(confidence=0.99)})
    assert "95 % and 99 %" in compare_builds(old, new.model_copy(update={"drift": wide})).notes[0]

"""The scorecard: what became worse is listed, the surest first, and what may be noise is not."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgekit.base.store import blobs
from edgekit.base.store.place import Place, open_place
from edgekit.bundles.cells import CellName, Failure, Result
from edgekit.bundles.changes import Change, MetricChange, Side
from edgekit.bundles.manifest import Report, report
from edgekit.drift.report import DriftReport
from edgekit.drift.statistics import Interval
from edgekit.errors import StoreError
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.results import Ordered, SweepRecord
from edgekit.pipeline.sweeping.scorecard import scorecard
from edgekit.pipeline.sweeping.scoring import score, sureness
from edgekit.render.page.many import entries_of
from edgekit.render.scorecard import cards
from tests.unit import examples
from tests.unit.test_cli import error_of, run


def name_of(model: str, target: str = "web") -> CellName:
    """Return a cell's name."""
    return CellName(model=model, target=target, scheme="int8", settings="project")


def a_report(model: str, accuracy: float, spread: float, *, size: int = 1000, passed: bool = True) -> Report:
    """Return what was measured of a build: its accuracy, with an interval of so much to either side."""
    leg = examples.leg("total", "model.pte", accuracy=accuracy).model_copy(
        update={"intervals": {"accuracy": Interval(low=accuracy - spread, high=accuracy + spread)}}
    )
    found = report(examples.manifest())
    return found.model_copy(
        update={
            "model": found.model.model_copy(update={"name": model}),
            "drift": DriftReport(samples=360, samples_sha256="s", legs=(leg,)),
            "artifacts": (examples.artifact(bytes=size),),
            "verdict": "passed" if passed else "failed",
        }
    )


def keep(place: Place, tag: str, *built: Report, refused: str = "", missing: str = "") -> None:
    """Store a sweep with a cell for each report."""
    cells = []
    for one in built:
        text = one.to_json().encode()
        page = blobs.put(place, b"<p>page of " + text, ".html")
        key = blobs.name_of(tag.encode() + text)
        entries = entries_of([Side(path="p", report=one, drift=one.drift)], [None])
        results.keep(
            place,
            Result(
                key=key, name=name_of(one.model.name), verdict=one.verdict, entries=entries, seconds=1.0,
                cpu_seconds=1.0, peak_bytes=None, stored_bytes=1, host="here", finished=1.0,
                blobs={"report.json": blobs.put(place, text, ".json"), "report.html": page},
            ),
        )  # fmt: skip
        cells.append(Ordered(name=name_of(one.model.name), key=key))
    for model, verdict in ((refused, "refused"), (missing, "missing")):
        if not model:
            continue
        key = blobs.name_of(f"{tag}{model}".encode())
        cells.append(Ordered(name=name_of(model), key=key))
        if verdict == "refused":
            empty: dict[str, Any] = {
                "cpu_seconds": 1.0,
                "peak_bytes": None,
                "stored_bytes": 0,
                "host": "",
                "finished": 1.0,
            }
            results.keep(
                place, Result(key=key, name=name_of(model), verdict="refused", error="no kernel", seconds=1.0, **empty)
            )
        else:
            results.fail(place, Failure(key=key, name=name_of(model), reason="it was killed"))
    results.record(place, SweepRecord(tag=tag, started=float(len(results.sweeps(place))), cells=tuple(cells)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A store of two releases: of six models one fell surely, one very surely, one in noise, one in size."""
    place = open_place(str(tmp_path / "store"))
    old = [a_report(model, 0.98, 0.004) for model in ("sure", "surer", "noisy", "large", "over", "same")]
    keep(place, "v1", *old)
    keep(
        place,
        "v2",
        a_report("sure", 0.97, 0.004),
        a_report("surer", 0.90, 0.004),
        a_report("noisy", 0.975, 0.004),
        a_report("large", 0.98, 0.004, size=1100),
        a_report("over", 0.98, 0.004, passed=False),
        a_report("same", 0.98, 0.004),
        refused="refused",
        missing="missing",
    )
    return place


def test_regressions_are_ranked_by_how_sure_they_are(place: Place) -> None:
    """Verdicts first, then metrics, the surest first, then sizes; noise is counted, and nothing else is listed."""
    card = score(place, since="v1")
    told = [(one.name.model, one.what) for one in card.regressions]
    assert told == [("over", "verdict"), ("surer", "accuracy"), ("sure", "accuracy"), ("large", "size")]
    first, second = (one.sureness for one in card.regressions[1:3])
    assert (first, second) == pytest.approx((10.0, 1.25))
    assert card.noise == 1
    assert [one.verdict for one in card.scores] == ["passed"] * 4 + ["failed", "passed", "refused", "missing"]
    assert (card.scores[6].error, card.scores[7].error) == ("no kernel", "it was killed")
    assert not card.passed


def test_what_became_better_is_no_regression(place: Place) -> None:
    """The other way round only what is worse that way is listed."""
    card = score(place, tag="v1", since="v2")
    assert card.regressions == ()
    assert card.passed
    assert score(place, tag="v1", since="v1").compared == 0


@pytest.mark.parametrize(
    ("old", "new", "larger", "sure"),
    [
        ((0.9, 0.88, 0.92), (0.8, 0.79, 0.82), True, 2.5),
        ((0.1, 0.05, 0.2), (0.5, 0.4, 0.9), False, 2.0),
        ((0.9, 0.85, 0.95), (0.88, 0.83, 0.93), True, 0.2),
        ((None, 40.0, None), (30.0, 29.0, 31.0), True, float("inf")),
        ((0.9, 0.9, 0.9), (0.8, 0.8, 0.8), True, float("inf")),
    ],
)
def test_sureness_is_over_one_where_intervals_do_not_overlap(
    old: tuple[Any, Any, Any], new: tuple[Any, Any, Any], larger: bool, sure: float
) -> None:
    """It counts the halves that face each other."""
    change = MetricChange(
        metric="x", old=old[0], new=new[0], old_interval=Interval(low=old[1], high=old[2]),
        new_interval=Interval(low=new[1], high=new[2]), change=Change.WORSE,
    )  # fmt: skip
    assert sureness(change, larger) == pytest.approx(sure)


def test_the_site_leads_to_every_report(place: Place, tmp_path: Path) -> None:
    """Each link leads somewhere, the figures are the scorecard's, and the same store gives the same pages."""
    site = tmp_path / "site"
    scorecard(place.text, site, since="v1")
    pages = {path.relative_to(site).as_posix(): path.read_text("utf-8") for path in site.rglob("*") if path.is_file()}
    models = ("sure", "surer", "noisy", "large", "over", "same", "refused", "missing")
    assert pages.keys() == {
        "index.html",
        *(f"models/{name}.html" for name in models),
        *(f"cards/{m}.md" for m in models),
    }
    for name, text in pages.items():
        for link in re.findall(r'href="([^"#:]+)"', text):
            assert ((site / name).parent / link).resolve().is_file(), (name, link)
    assert re.search(r">1</data> of <data [^>]*>1</data>", pages["index.html"])
    (data,) = re.findall(r'id="scorecard">(.*?)</script>', pages["index.html"])
    assert json.loads(data)["fallen"] == 4
    assert [one["what"] for one in json.loads(data)["regressions"]] == ["verdict", "accuracy", "accuracy", "size"]
    assert "no kernel" in pages["models/refused.html"]
    assert "97.00 %" in pages["models/sure.html"]
    again = tmp_path / "again"
    scorecard(place.text, again, since="v1")
    assert {path.name: path.read_text("utf-8") for path in again.glob("*.html")} == {"index.html": pages["index.html"]}


def test_the_gate_says_what_became_worse(place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 20 for a regression, 0 for none; without an earlier sweep there is nothing to ask."""
    store = ("--store", place.text, "-o", tmp_path / "site")
    code, out, _ = run(capfd, "scorecard", *store, "--since", "v1", "--fail-on", "regression", "--json")
    assert code == error_of(out)["exit_code"] == 20
    assert "surer/web/int8/project model.pte: accuracy 0.98 to 0.9" in error_of(out)["message"]
    assert run(capfd, "scorecard", *store, "--tag", "v1", "--since", "v2", "--fail-on", "regression")[0] == 0
    assert run(capfd, "scorecard", *store, "--fail-on", "failed")[0] == 20
    assert run(capfd, "scorecard", *store, "--tag", "v1", "--fail-on", "failed")[0] == 0
    assert run(capfd, "scorecard", *store, "--fail-on", "regression")[0] == 2
    code, _, err = run(capfd, "scorecard", *store, "--since", "v0")
    assert (code, "Tags: v1, v2" in err) == (22, True)
    with pytest.raises(StoreError, match="has no sweep"):
        score(open_place(str(tmp_path / "empty")))


def test_a_card_is_one_that_the_hub_reads(place: Place, tmp_path: Path) -> None:
    """Its library finds tags and results; what did not pass is in the table alone."""
    hub = pytest.importorskip("huggingface_hub")
    (one,) = [one for one in score(place, tag="v1").scores if one.name.model == "sure"]
    data = hub.ModelCard(cards.of_model("sure", [one])).data
    assert data.library_name == "edgekit"
    assert "executorch" in data.tags
    (found,) = data.eval_results
    assert (found.task_type, found.metric_type, found.metric_value) == ("image-classification", "accuracy", 0.98)
    (over,) = [one for one in score(place, tag="v2").scores if one.name.model == "over"]
    text = cards.of_model("over", [over])
    assert hub.ModelCard(text).data.eval_results is None
    assert "| failed |" in text

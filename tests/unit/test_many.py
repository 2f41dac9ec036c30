"""The page of many bundles, and where the page of one is."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgekit.bundles.changes import Side
from edgekit.bundles.entry import Entry
from edgekit.bundles.manifest import report as report_of
from edgekit.bundles.timing import Timed, Timings
from edgekit.errors import BundleError
from edgekit.pipeline import reporting
from edgekit.render.page.many import entries_of, of_bundles
from edgekit.render.page.terms import TERMS
from tests import pages
from tests.unit import examples
from tests.unit.test_cli import run


def side(
    path: str, *, size: int, accuracy: float, median: float | None = None, breach: bool = False, **leg: Any
) -> Side:
    """Return a bundle of one file."""
    drift = examples.report().model_copy(
        update={"legs": (examples.leg("total", "model.pte", accuracy=accuracy, **leg),)}
    )
    made = examples.manifest(breach=breach).model_copy(
        update={"artifacts": (examples.artifact(bytes=size),), "drift": drift}
    )
    timed = () if median is None else (Timed(artifact="model.pte", median_ms=median, p99_ms=2 * median),)
    timings = (Timings(where="host", place="AMD EPYC", artifacts=timed),) if timed else ()
    return Side(path=path, report=report_of(made), drift=drift, timings=timings)


SIDES = (
    side("small", size=50_000, accuracy=0.95, median=3.0),
    side("middle", size=100_000, accuracy=0.98, median=2.0),
    side("beaten", size=120_000, accuracy=0.97, median=2.5),
    side("large", size=200_000, accuracy=0.99),
)


def entries(*sides: Side) -> tuple[Entry, ...]:
    """Return the entries of bundles without pages."""
    return entries_of(sides, [None] * len(sides))


def test_the_front_holds_what_nothing_beats() -> None:
    """By size and by latency; what was not timed is on no front of latency."""
    found = entries(*SIDES)
    assert [one.path for one in found if one.best_for_size] == ["small", "middle", "large"]
    assert [one.path for one in found if one.best_for_latency] == ["middle"]
    assert found[1].median_ms == 2.0


def test_what_failed_is_on_no_front_and_beats_nothing() -> None:
    """However small and good it is."""
    found = entries(*SIDES, side("failed", size=10_000, accuracy=1.0, breach=True))
    assert [one.path for one in found if one.best_for_size] == ["small", "middle", "large"]


def test_tasks_are_not_held_against_each_other() -> None:
    """A file whose task has another metric is beaten by none of these."""
    none = {"reference_accuracy": None, "top1_agreement": None}
    other = side("mask", size=900_000, accuracy=None, mean_iou=0.5, reference_mean_iou=0.51, **none)  # type: ignore[arg-type]
    assert [one.metric for one in entries(*SIDES, other)] == ["accuracy"] * 4 + ["mean IoU"]
    assert entries(*SIDES, other)[-1].best_for_size


def test_page_and_json_agree() -> None:
    """Every figure is what the JSON says; the verdict is that of all."""
    found = entries(*SIDES)
    text = of_bundles(SIDES, [None] * 4)
    page = pages.read(text)
    terms = {title: {"means": term.means, "good": term.good} for title, term in TERMS.items()}
    files: dict[str, Any] = {
        "bundles": [json.loads(one.model_dump_json()) for one in found],
        "reader": {"terms": terms},
    }
    assert pages.disagreements(page, files) == []
    assert page.documents == files
    assert "Passed" in text
    assert "Over their limits" in of_bundles([*SIDES, side("bad", size=1, accuracy=0.5, breach=True)], [None] * 5)
    files["bundles"][0]["bytes"] += 1000
    assert pages.disagreements(page, files)


def write(folder: Path) -> Path:
    """Write a bundle with its page."""
    examples.write_bundle(folder)
    (folder / "report.html").write_text("<!doctype html>", encoding="utf-8")
    return folder


def test_one_page_of_several(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It links to their own pages, from where it is."""
    one, two = (write(tmp_path / "artifacts" / "digits" / name) for name in ("a", "b"))
    place = tmp_path / "out" / "all.html"
    place.parent.mkdir()
    code, out, _ = run(capfd, "report", one, two, "-o", place, "--json")
    assert (code, json.loads(out)["page"]) == (0, str(place))
    assert 'href="../artifacts/digits/a/report.html"' in place.read_text("utf-8")
    code, _, err = run(capfd, "report", one, two)
    assert code == 2
    assert "--output" in err


def test_the_last_one_is_found(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name it is the one that was built last; where there is none, that is said with the way out."""
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capfd, "report")
    assert code == BundleError.exit_code
    assert "There is no bundle" in err
    older, newer = (write(tmp_path / "artifacts" / "digits" / name) for name in ("z", "a"))
    os.utime(older / "manifest.json", (1, 1))
    code, out, _ = run(capfd, "report")
    assert (code, Path(out.strip()).resolve()) == (0, (newer / "report.html").resolve())


def test_a_page_that_is_not_there_is_said(tmp_path: Path) -> None:
    """As is a folder that is no bundle."""
    folder = examples.write_bundle(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"has no report\.html"):
        reporting.report([folder])
    with pytest.raises(BundleError):
        reporting.report([tmp_path / "nothing"])
    with pytest.raises(BundleError, match="needs a file"):
        reporting.report([folder, folder])

"""How long a sweep of 10,000 cells takes to plan, and its scorecard to write: a simulated store, real code.

The results are copies of one that a real build has made, each with figures of its own. Two releases are compared, of
which every cell is another one: the worst case. A store that is there already is taken as it is.
"""

import argparse
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit import targets
from edgekit.base import digest
from edgekit.base.store import blobs
from edgekit.base.store.place import Place, open_place
from edgekit.bundles.cells import CellName, Result
from edgekit.bundles.changes import Side
from edgekit.bundles.manifest import Report, parse_report
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.plan import plan
from edgekit.pipeline.sweeping.results import Ordered, SweepRecord
from edgekit.pipeline.sweeping.scorecard import scorecard
from edgekit.render.page.many import entries_of
from edgekit.spec.sweep import read

_CHANCE = random.Random(0)  # noqa: S311 - figures of a simulation


def simulated(place: Place, report: Report, names: list[CellName], tag: str, started: float) -> None:
    """Write a result for each cell, and the sweep that asked for them."""
    cells = []
    for name in names:
        key = digest.of_json([tag, str(name)])
        text = _varied(report, name).to_json().encode()
        side = Side(path=name.target, report=(one := parse_report(text.decode(), where="")), drift=one.drift)
        held = {"report.json": blobs.put(place, text, ".json"), "report.html": blobs.name_of(text, ".html")}
        result = Result(
            key=key, name=name, verdict=one.verdict, blobs=held, entries=entries_of([side], [None]), seconds=3.0,
            cpu_seconds=3.0, peak_bytes=None, stored_bytes=len(text), host="simulated", finished=started,
        )  # fmt: skip
        results.keep(place, result)
        cells.append(Ordered(name=name, key=key))
    results.record(place, SweepRecord(tag=tag, started=started, cells=tuple(cells)))


def _varied(report: Report, name: CellName) -> Report:
    """Return a report with figures of its own: a shift that all legs have."""
    shift = _CHANCE.gauss(0.0, 0.004)
    legs = []
    for leg in report.drift.legs:
        values = leg.metrics
        moved = {
            field: getattr(values, field) + shift
            for field in ("cosine", "top1_agreement", "accuracy")
            if getattr(values, field) is not None
        }
        intervals = {
            key: one.model_copy(update={"low": (one.low or 0) + shift, "high": (one.high or 0) + shift})
            for key, one in leg.intervals.items()
        }
        legs.append(leg.model_copy(update={"metrics": values.model_copy(update=moved), "intervals": intervals}))
    drift = report.drift.model_copy(update={"legs": tuple(legs)})
    files = tuple(
        one.model_copy(update={"bytes": int(one.bytes * _CHANCE.uniform(0.9, 1.1))}) for one in report.artifacts
    )
    model = report.model.model_copy(update={"name": name.model})
    target = report.target.model_copy(update={"name": name.target})
    verdict = "failed" if _CHANCE.random() < 0.05 else "passed"
    return report.model_copy(
        update={"drift": drift, "artifacts": files, "model": model, "target": target, "verdict": verdict}
    )


def names_of(models: int, chips: int, tables: int) -> Iterator[CellName]:
    """Yield the names of all cells."""
    for model in range(models):
        for target in targets.names()[:chips]:
            for table in range(tables):
                yield CellName(model=f"net{model}", target=target, scheme="int8", settings=f"s{table}")


def planned(folder: Path, project: Path, models: int, chips: tuple[str, ...], tables: int) -> tuple[int, float, float]:
    """Plan a sweep of copies of a real project; return the number of cells, the seconds, and those of the processor."""
    for number in range(models):
        copy = folder / f"net{number}"
        shutil.copytree(project, copy, dirs_exist_ok=True)
        file = copy / "edgekit.toml"
        text = file.read_text(encoding="utf-8")
        (name,) = [line for line in text.splitlines() if line.startswith("name = ")][:1]
        file.write_text(text.replace(name, f'name = "net{number}"', 1), encoding="utf-8")
    lines = [
        f"projects = {json.dumps([f'net{number}' for number in range(models)])}",
        f"targets = {json.dumps(list(chips))}",
        *(f"[settings.s{table}]\ncalibration_batch = {table + 1}" for table in range(tables)),
    ]
    (folder / "sweep.toml").write_text("\n".join(lines), encoding="utf-8")
    began, used = time.perf_counter(), time.process_time()
    found = plan(read(folder / "sweep.toml"), str(folder / "store"))
    results.stored(open_place(str(folder / "store")))
    return len(found.tasks), time.perf_counter() - began, time.process_time() - used


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("report", type=Path, help="the report.json of a real bundle")
    parser.add_argument("project", type=Path, help="the folder of a real project")
    given = parser.parse_args()
    place = open_place(str(given.folder / "store"))
    chips = [one.name for one in targets.asked(["all"])[0]]
    names = list(names_of(40, 12, 21))
    report = parse_report(given.report.read_text(encoding="utf-8"), where=str(given.report))
    for number, tag in enumerate(() if results.sweeps(place) else ("v1", "v2")):
        simulated(place, report, names, tag, float(number))
    cells, seconds, used = planned(given.folder, given.project, 40, tuple(chips), -(-250 // len(chips)))
    print(f"planned {cells} cells in {seconds:.2f} s, {used:.2f} s of the processor")  # noqa: T201
    for since in (None, "v1"):
        site = given.folder / f"site-{since}"
        began, used = time.perf_counter(), time.process_time()
        card = scorecard(str(given.folder / "store"), site, tag="v2", since=since)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
        told = f"since {since}: {len(card.regressions)} regressions, {card.noise} in noise" if since else "alone"
        times = f"{seconds:.1f} s, {used:.1f} s of the processor"
        print(f"scorecard of {len(card.scores)} cells, {told}: {times}, {size / 1e6:.1f} MB")  # noqa: T201


if __name__ == "__main__":
    main()

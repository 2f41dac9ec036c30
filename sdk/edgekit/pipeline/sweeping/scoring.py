"""From a store to its scorecard: the latest sweep, or one of a tag, and what became worse since another."""

from collections import Counter
from collections.abc import Iterator, Mapping

from edgekit.base.store import blobs
from edgekit.base.store.place import Place
from edgekit.bundles.cells import CellName, Result
from edgekit.bundles.changes import Change, LegChange, MetricChange, Side
from edgekit.bundles.compare import compare_builds, larger_is_better
from edgekit.bundles.contents import PAGE_FILE, REPORT_FILE
from edgekit.bundles.manifest import Report, parse_report
from edgekit.bundles.scorecard import Regression, Release, Score, Scorecard, Verdict
from edgekit.errors import StoreError
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.results import SweepRecord

# A file that grows by less is of no interest: names in it and libraries' versions change its size.
_GROWTH = 0.01


def score(place: Place, *, tag: str | None = None, since: str | None = None) -> Scorecard:
    """Read a store.

    Args:
        place: The store.
        tag: The sweep; the one that was started last unless given.
        since: An earlier sweep to hold it against.

    Raises:
        StoreError: If there is no such sweep, or a document is damaged.
    """
    sweeps = results.sweeps(place)
    if not sweeps:
        raise StoreError(f"{place.text} has no sweep.", hint="edgekit sweep FILE --store PLACE makes one.")
    by_tag = {sweep.tag: sweep for sweep in sweeps}
    chosen = sweeps[-1] if tag is None else _named(by_tag, tag)
    before = None if since is None else _named(by_tag, since)
    found = {result.key: result for result in results.every(place)}
    why = {one.key: one.reason for one in results.failures(place)}
    regressions: list[Regression] = []
    noise = compared = 0
    for old, new, name in _pairs(before, chosen):
        one, noisy, both = _held(place, name, found.get(old), found.get(new), why.get(new, ""))
        regressions += one
        noise, compared = noise + noisy, compared + both
    return Scorecard(
        tag=chosen.tag,
        since=since,
        scores=tuple(_score(cell.name, found.get(cell.key), why.get(cell.key, "")) for cell in chosen.cells),
        regressions=tuple(sorted(regressions, key=_order)),
        noise=noise,
        compared=compared,
        history=tuple(_release(sweep, found) for sweep in sweeps),
        left_out=chosen.left_out,
    )


def _named(sweeps: Mapping[str, SweepRecord], tag: str) -> SweepRecord:
    if tag not in sweeps:
        raise StoreError(f"There is no sweep {tag!r}.", hint=f"Tags: {', '.join(sweeps)}.")
    return sweeps[tag]


def _score(name: CellName, result: Result | None, why: str) -> Score:
    if result is None:
        return Score(name=name, verdict="missing", error=why or "not run yet")
    return Score(name=name, verdict=result.verdict, error=result.error, page=_page(result), entries=result.entries)


def _page(result: Result | None) -> str | None:
    blob = None if result is None else result.blobs.get(PAGE_FILE)
    return None if blob is None else blobs.path_of(blob)


def _release(sweep: SweepRecord, found: Mapping[str, Result]) -> Release:
    cells = Counter(cell.name.model for cell in sweep.cells)
    good = [cell for cell in sweep.cells if (one := found.get(cell.key)) is not None and one.verdict == "passed"]
    passed = Counter(cell.name.model for cell in good)
    return Release(tag=sweep.tag, cells=dict(cells), passed={model: passed[model] for model in cells})


def _pairs(before: SweepRecord | None, after: SweepRecord) -> Iterator[tuple[str, str, CellName]]:
    """Yield the keys of cells of the same name that are not the same content."""
    known = {} if before is None else {str(cell.name): cell.key for cell in before.cells}
    for cell in after.cells:
        if (old := known.get(str(cell.name))) is not None and old != cell.key:
            yield old, cell.key, cell.name


def _held(
    place: Place, name: CellName, old: Result | None, new: Result | None, why: str
) -> tuple[list[Regression], int, bool]:
    """Return what became worse in one cell, how many metrics did so within noise, and whether there are two results."""
    if old is None:
        return [], 0, False
    verdicts: tuple[Verdict, Verdict] = (old.verdict, "missing" if new is None else new.verdict)
    pages = (_page(old), _page(new))
    found: list[Regression] = []
    if verdicts[0] == "passed" and verdicts[1] != "passed":
        found.append(
            Regression(name=name, what="verdict", old=verdicts[0], new=verdicts[1], sureness=None, pages=pages)
        )
    if new is None:
        return found, 0, False
    sizes = {one.file: one.bytes for one in old.entries}
    for one in new.entries:
        if (size := sizes.get(one.file)) is not None and one.bytes > (1 + _GROWTH) * size:
            grown = (float(size), float(one.bytes))
            found.append(
                Regression(
                    name=name, artifact=one.file, what="size", old=grown[0], new=grown[1], sureness=None, pages=pages
                )
            )
    reports = [result.blobs.get(REPORT_FILE) for result in (old, new)]
    if None in reports or reports[0] == reports[1]:
        return found, 0, True
    sides = [_side(_report(place, str(blob)), str(blob)) for blob in reports]
    worse, noise = _metrics(name, compare_builds(*sides).legs, sides[1], pages)
    return found + worse, noise, True


def _report(place: Place, blob: str) -> Report:
    return parse_report(blobs.get(place, blob).decode(), where=f"{place.text}/{blobs.path_of(blob)}")


def _side(report: Report, path: str) -> Side:
    # What leads there says where drift comes from, and not whether an app gets it.
    legs = tuple(leg for leg in report.drift.legs if leg.name == "total")
    drift = report.drift.model_copy(update={"legs": legs})
    return Side(path=path, report=report, drift=drift)


def _metrics(
    name: CellName, legs: tuple[LegChange, ...], new: Side, pages: tuple[str | None, str | None]
) -> tuple[list[Regression], int]:
    """Return for each artifact the metric that became worse most surely."""
    sure: dict[str | None, list[tuple[float, MetricChange]]] = {}
    noise = 0
    for change, leg in zip(legs, (leg for leg in new.drift.legs), strict=False):
        for one in change.metrics:
            if one.change is Change.WORSE:
                sure.setdefault(change.artifact, []).append((sureness(one, larger_is_better(one.metric, leg)), one))
            noise += one.change is Change.NOISE and _fell(one, larger_is_better(one.metric, leg))
    found = []
    for artifact, changes in sure.items():
        surest, one = max(changes, key=lambda pair: pair[0])
        found.append(
            Regression(
                name=name,
                artifact=artifact,
                what=one.metric,
                old=one.old,
                new=one.new,
                old_interval=one.old_interval,
                new_interval=one.new_interval,
                sureness=None if surest == float("inf") else surest,
                others=len(changes) - 1,
                pages=pages,
            )
        )
    return found, noise


def sureness(change: MetricChange, larger: bool) -> float:
    """Return how far a metric fell, as a multiple of the halves of the two intervals that face each other.

    Args:
        change: The change, for the worse.
        larger: Whether a larger value is better.

    Returns:
        Over 1 where the intervals do not overlap; infinite where there are none, or where one was infinitely good.
    """
    old, new, before, after = change.old, change.new, change.old_interval, change.new_interval
    if old is None or new is None or before is None or after is None:
        return float("inf")
    near = (before.low, after.high) if larger else (before.high, after.low)
    if near[0] is None or near[1] is None:
        return float("inf")
    halves = abs(old - near[0]) + abs(near[1] - new)
    return abs(old - new) / halves if halves else float("inf")


def _fell(change: MetricChange, larger: bool) -> bool:
    good = float("inf") if larger else 0.0
    old, new = (good if value is None else value for value in (change.old, change.new))
    return new < old if larger else new > old


def _order(one: Regression) -> tuple[int, float, str]:
    kind = {"verdict": 0, "size": 2}.get(one.what, 1)
    return kind, -(float("inf") if one.sureness is None else one.sureness), f"{one.name} {one.artifact}"

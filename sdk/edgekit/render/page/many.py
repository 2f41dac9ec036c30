"""The page of many bundles: a table of their files, and how good each is against its size and its latency."""

from collections import Counter
from collections.abc import Callable, Sequence

from pydantic import JsonValue

from edgekit.bundles.changes import Side
from edgekit.bundles.entry import Entry
from edgekit.bundles.manifest import ArtifactInfo, Report
from edgekit.render import summary
from edgekit.render.page import terms
from edgekit.render.page.template import render


def of_bundles(sides: Sequence[Side], pages: Sequence[str | None]) -> str:
    """Return the text of the page; the same values give the same text.

    Args:
        sides: The bundles, as `edgekit.bundles.compare.read_side` reads them.
        pages: The link to the page of each, if it has one.
    """
    entries = entries_of(sides, pages)
    names = Counter(one.metric for one in entries if one.metric is not None)
    documents: dict[str, JsonValue] = {
        "bundles": [one.model_dump(mode="json") for one in entries],
        "reader": {"terms": terms.AS_JSON},
    }
    shown = names.most_common(1)[0][0] if names else None
    return render(
        "many.html.jinja",
        documents,
        title=f"{len(sides)} bundles",
        passed=all(one.passed for one in entries),
        failed=list({one.path: number for number, one in enumerate(entries) if not one.passed}.values()),
        plotted=shown,
        others=any(one.metric != shown for one in entries),
        timed=any(one.median_ms is not None for one in entries),
    )


def entries_of(sides: Sequence[Side], pages: Sequence[str | None]) -> tuple[Entry, ...]:
    """Return one entry for each file, and mark those that no other beats."""
    found = [
        _entry(side, side.report, item, page)
        for side, page in zip(sides, pages, strict=True)
        if side.report is not None
        for item in side.report.artifacts
    ]
    small = front(found, lambda one: float(one.bytes))
    quick = front(found, lambda one: one.median_ms)
    return tuple(
        one.model_copy(update={"best_for_size": number in small, "best_for_latency": number in quick})
        for number, one in enumerate(found)
    )


def _entry(side: Side, report: Report, item: ArtifactInfo, page: str | None) -> Entry:
    legs = tuple(leg for leg in report.drift.legs if leg.name == "total" and leg.artifact == item.file)
    drift = report.drift.model_copy(update={"legs": legs})
    chosen = summary.chosen(drift)
    metrics = None if chosen is None else legs[chosen.leg].metrics
    truth = chosen is not None and chosen.against_truth
    timed = [(one, where) for where in side.timings for one in where.artifacts if one.artifact == item.file]
    time, where = timed[-1] if timed else (None, None)  # a phone's before this host's
    return Entry(
        path=side.path,
        page=page,
        model=report.model.name,
        target=report.target.name,
        file=item.file,
        scheme=item.quantization,
        passed=report.verdict == "passed",
        bytes=item.bytes,
        float_bytes=report.model.float_bytes,
        metric=None if chosen is None else chosen.name,
        percent=chosen is not None and chosen.percent,
        value=None if chosen is None else getattr(metrics, chosen.metric),
        reference=getattr(metrics, f"reference_{chosen.metric}") if chosen is not None and truth else None,
        sqnr_db=min((leg.metrics.sqnr_db for leg in legs if leg.metrics.sqnr_db is not None), default=None),
        delegated_fraction=item.delegated_fraction,
        median_ms=None if time is None else time.median_ms,
        measured_on=None if where is None else where.place,
        versions=dict(report.producer),
    )


def front(entries: Sequence[Entry], cost: Callable[[Entry], float | None]) -> set[int]:
    """Return which entries are on the Pareto front of a cost.

    Of those that passed and have the same metric none is better for as little, or as good for less.
    """
    known = [
        (value, -_good(one), at) for at, one in enumerate(entries) if one.passed and (value := cost(one)) is not None
    ]
    found = set[int]()
    best: dict[str | None, tuple[float, float]] = {}
    for value, bad, at in sorted(known):  # the cheapest first, and of those the best
        cheapest, least = best.get(entries[at].metric, (0.0, float("inf")))
        if bad < least or (bad, value) == (least, cheapest):
            best[entries[at].metric] = (value, bad)
            found.add(at)
    return found


def _good(one: Entry) -> float:
    value = one.sqnr_db if one.metric is None else one.value
    return float("inf") if value is None else value

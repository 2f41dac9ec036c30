"""The page of many bundles: a table of their files, and how good each is against its size and its latency."""

from collections import Counter
from collections.abc import Callable, Sequence

from pydantic import JsonValue

from edgekit.bundles.changes import Side
from edgekit.bundles.manifest import ArtifactInfo, Report
from edgekit.render import summary
from edgekit.render.page import terms
from edgekit.render.page.template import render
from edgekit.spec import Spec


class Entry(Spec):
    """One file of one bundle."""

    path: str
    """The bundle, as it was given."""
    page: str | None
    """Where its own page is, as a link; null: it has none beside it."""
    model: str
    """The model's name."""
    target: str
    """The target's."""
    file: str
    """The artifact's file."""
    scheme: str
    """Its quantization scheme."""
    passed: bool
    """The bundle's verdict."""
    bytes: int
    """Size of the file."""
    float_bytes: int
    """Bytes of the float weights."""
    metric: str | None
    """What the task is measured by; null: decibels alone."""
    percent: bool
    """Whether that is a share."""
    value: float | None
    """Its value."""
    reference: float | None
    """The float model's; null: it has none."""
    sqnr_db: float | None
    """The least SQNR in total over the outputs; null: none differs, or they are integers."""
    delegated_fraction: float
    """Share of the compute operations that delegates take."""
    median_ms: float | None
    """Median latency with one sample where the bundle was profiled; null: not measured."""
    measured_on: str | None
    """The machine or the phone that measured it."""
    best_for_size: bool = False
    """Whether no other file is at least as good and smaller, or better and as small."""
    best_for_latency: bool = False
    """The same of the latency."""
    versions: dict[str, str]
    """Versions of the libraries that made the bundle."""


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
    small = _front(found, lambda one: float(one.bytes))
    quick = _front(found, lambda one: one.median_ms)
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


def _front(entries: Sequence[Entry], cost: Callable[[Entry], float | None]) -> set[int]:
    """Return which entries are on the Pareto front of a cost.

    Of those that passed and have the same metric none is better for as little, or as good for less.
    """
    known = {number: value for number, one in enumerate(entries) if one.passed and (value := cost(one)) is not None}

    def beaten(number: int) -> bool:
        mine = entries[number]
        return any(
            entries[other].metric == mine.metric
            and _good(entries[other]) >= _good(mine)
            and known[other] <= known[number]
            and (_good(entries[other]) > _good(mine) or known[other] < known[number])
            for other in known
        )

    return {number for number in known if not beaten(number)}


def _good(one: Entry) -> float:
    value = one.sqnr_db if one.metric is None else one.value
    return float("inf") if value is None else value

"""The page of a comparison: what a change did to drift, sizes and operators."""

from dataclasses import dataclass

from pydantic import JsonValue

from edgekit.bundles import verdict
from edgekit.bundles.changes import BundleComparison, Change, LegChange, MetricChange
from edgekit.render.page.columns import COLUMNS, computed_on
from edgekit.render.page.forms import Form
from edgekit.render.page.strip import Strip, line_of
from edgekit.render.page.template import render
from edgekit.render.summary import Chosen, chosen


def of_changes(found: BundleComparison) -> str:
    """Return the text of the page; the same values give the same text."""
    documents: dict[str, JsonValue] = {"comparison": found.model_dump(mode="json")}
    return render(
        "changes.html.jinja",
        documents,
        title=f"{found.old.path} to {found.new.path}",
        passed=found.new.passed,
        several=len({leg.output for leg in found.legs}) > 1,
        form_of=form_of,
        at_most=verdict.at_most,
        strips=_strips(found.legs),
        places=[_places(found, leg) for leg in found.legs],
        news=news_of(found),
        told=_ordered(found, (Change.WORSE, Change.BETTER, Change.DIFFERS, Change.NOISE)),
        folded=_ordered(found, (Change.SMALL, Change.SAME)),
    )


@dataclass(frozen=True, kw_only=True)
class News:
    """Where the figure stands that says how good the artifacts are, before and now."""

    chosen: Chosen
    """The metric, and its leg in the new build."""
    old_leg: int | None
    """The same leg in the old build; None: it has none with this metric."""


def news_of(found: BundleComparison) -> News | None:
    """Return the metric of the task; None where there are decibels alone."""
    new = chosen(found.new.drift)
    if new is None:
        return None
    leg = found.new.drift.legs[new.leg]
    old = [
        number
        for number, one in enumerate(found.old.drift.legs)
        if (one.name, one.artifact, one.output) == (leg.name, leg.artifact, leg.output)
        and getattr(one.metrics, new.metric) is not None
    ]
    return News(chosen=new, old_leg=old[0] if old else None)


def _ordered(found: BundleComparison, wanted: tuple[Change, ...]) -> list[tuple[int, int]]:
    """Return where the metrics stand that changed in one of these ways, as leg and metric, in the order of the ways."""
    places = [
        (wanted.index(one.change), number, at)
        for number, leg in enumerate(found.legs)
        for at, one in enumerate(leg.metrics)
        if one.change in wanted
    ]
    return [(number, at) for _, number, at in sorted(places)]


def form_of(metric: str) -> Form:
    """Return how the values of a metric look."""
    forms = {column.name: column.form for column in COLUMNS}
    return forms.get(metric, "small")


def _places(found: BundleComparison, change: LegChange) -> str:
    """Return what both builds computed a leg on."""
    legs = [
        leg
        for side in (found.old, found.new)
        for leg in side.drift.legs
        if leg.name == change.name and leg.output == change.output and change.artifact in (leg.artifact, None)
    ]
    return computed_on(*(place for leg in legs for place in (leg.reference, leg.candidate)))


def _strips(legs: tuple[LegChange, ...]) -> tuple[tuple[Strip, Strip] | None, ...]:
    """Return the marks of each leg's SQNR, old and new; None where either side has none."""
    ratios = [_ratio(leg) if leg.sides == "both" else None for leg in legs]
    ends = [end for one in ratios if one is not None for end in _ends(one)]
    line = line_of(ends)
    return tuple(
        None
        if one is None
        else (
            Strip(value=line.place(one.old), low=None, high=None, limit=None),
            Strip(
                value=line.place(one.new),
                low=None if one.new_interval is None else line.place(one.new_interval.low),
                high=None if one.new_interval is None else line.place(one.new_interval.high),
                limit=None,
            ),
        )
        for one in ratios
    )


def _ratio(leg: LegChange) -> MetricChange | None:
    return next((one for one in leg.metrics if one.metric == "sqnr_db"), None)


def _ends(one: MetricChange) -> tuple[float | None, ...]:
    spans = (one.old_interval, one.new_interval)
    return (one.old, one.new, *(end for span in spans if span is not None for end in (span.low, span.high)))

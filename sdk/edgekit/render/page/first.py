"""What the first screen shows: which of the figures a person asks for first, and where they stand."""

from dataclasses import dataclass
from typing import Literal

from edgekit.bundles.manifest import ArtifactInfo, Report
from edgekit.bundles.profile import Profile
from edgekit.model.onchip import Executed
from edgekit.render import summary
from edgekit.render.summary import Chosen

_WORST = ("stands in", "outside", "inside", "")


@dataclass(frozen=True, kw_only=True)
class First:
    """Places of the figures; of several files those of the one that is worst in it."""

    size: int
    """The largest artifact."""
    size_words: str
    """How its size compares with float's: ``smaller``, ``larger`` or ``same``; empty where float's is not known."""
    delegated: int
    """The artifact of which least runs where it is meant to."""
    chip: Literal["", "stands in", "outside", "inside"]
    """What is said of a chip in place of a share: nothing ran there, part of it stays outside, all of it is inside."""
    delegates: bool
    """Whether the share that a delegate takes says something: not of plain float files."""
    quality: Chosen | None
    """The metric of the task; None: decibels alone."""
    within_noise: bool
    """Whether its change from float is not told apart from none."""
    total: int | None
    """The leg with the lowest SQNR in total; None: nothing that has one."""
    cost: int | None
    """The slowest artifact that was timed here; None: none was."""
    float_cost: int | None
    """The float model beside it."""


def of(report: Report, profile: Profile | None) -> First:
    """Choose the figures of a bundle's page."""
    files = list(enumerate(report.artifacts))
    largest, biggest = max(files, key=lambda one: one[1].bytes)
    least, held = min(files, key=lambda one: (_WORST.index(_chip(one[1])), one[1].delegated_fraction))
    found = summary.chosen(report.drift)
    totals = [
        (leg.metrics.sqnr_db, number)
        for number, leg in enumerate(report.drift.legs)
        if leg.name == "total" and leg.metrics.sqnr_db is not None
    ]
    cost, float_cost = _costs(profile)
    return First(
        size=largest,
        size_words=_words(report.model.float_bytes, biggest.bytes),
        delegated=least,
        chip=_chip(held),
        delegates=summary.delegated(report.artifacts) is not None,
        quality=found,
        within_noise=found is not None
        and found.against_truth
        and summary.within_noise(report.drift.legs[found.leg], found),
        total=min(totals)[1] if totals else None,
        cost=cost,
        float_cost=float_cost,
    )


def _chip(item: ArtifactInfo) -> Literal["", "stands in", "outside", "inside"]:
    if item.on_chip is None:
        return ""
    if item.on_chip.executed is Executed.NOT_EXECUTED:
        return "stands in"
    return "outside" if item.on_chip.elsewhere else "inside"


def _words(float_bytes: int, size: int) -> str:
    if not float_bytes:
        return ""
    ratio = float_bytes / max(size, 1)
    return "smaller" if ratio >= summary.LARGER else "larger" if ratio <= summary.SMALLER else "same"


def _costs(profile: Profile | None) -> tuple[int | None, int | None]:
    """Return where the slowest artifact stands among the costs, and the float model of its format."""
    costs = () if profile is None else profile.costs
    timed = [(one.latency.median_ms, number) for number, one in enumerate(costs) if one.precision == "quantized"]
    if not timed:
        return None, None
    _, slowest = max(timed)
    beside = [
        number for number, one in enumerate(costs) if one.precision == "float32" and one.format == costs[slowest].format
    ]
    return slowest, beside[0] if beside else None

"""Where a value with its interval and its limit lies on a line that several rows share, in per cent of its length."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.drift.report import Leg

_MARGIN = 0.04


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One row's marks; None where there is nothing to draw."""

    value: float
    """The measured value; what is infinite lies at the right end."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""
    limit: float | None
    """The limit."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The line that the rows share."""

    start: float
    """The value at its left end."""
    end: float
    """The value at its right end."""

    def place(self, value: float | None) -> float:
        """Return where a value lies, from 0 to 100; None, infinity, at the end."""
        share = 1.0 if value is None or self.end == self.start else (value - self.start) / (self.end - self.start)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def line_of(values: Iterable[float | None]) -> Line:
    """Return a line from zero, or the least value below it, to a little over the largest finite value."""
    finite = [value for value in values if value is not None]
    end = max(finite, default=1.0)
    return Line(start=min(0.0, *finite) if finite else 0.0, end=end + _MARGIN * abs(end))


def sqnr_strips(legs: tuple[Leg, ...]) -> tuple[Strip, ...]:
    """Return the marks of each leg's SQNR."""
    limits = [next((c.limit for c in leg.checks if c.name == "min_sqnr_db"), None) for leg in legs]
    spans = [leg.intervals.get("sqnr_db") for leg in legs]
    ends = [end for span in spans if span is not None for end in (span.low, span.high)]
    line = line_of([*(leg.metrics.sqnr_db for leg in legs), *ends, *(limit for limit in limits if limit is not None)])
    return tuple(
        Strip(
            value=line.place(leg.metrics.sqnr_db),
            low=None if span is None else line.place(span.low),
            high=None if span is None else line.place(span.high),
            limit=None if limit is None else line.place(limit),
        )
        for leg, span, limit in zip(legs, spans, limits, strict=True)
    )

"""Drift in legs, held against a budget: values only, see ``compare`` for how they are made."""

from enum import StrEnum
from html import escape
from typing import Literal

from edgekit.drift.metrics import Metrics
from edgekit.drift.statistics import Interval
from edgekit.spec import Bootstrap, Spec

LegName = Literal["server", "quantization", "lowering", "total", "device"]


class LimitResult(StrEnum):
    """What became of a limit."""

    KEPT = "kept"
    """The measured value keeps it."""
    NOISE = "noise"
    """The measured value breaks it, and the favourable end of the interval does not: with so few samples the break is
    not told apart from noise."""
    BROKEN = "broken"
    """The whole interval breaks it."""
    NOT_JUDGED = "not_judged"
    """The few golden inputs break it on the host too, so that it says nothing of the device."""


class Check(Spec):
    """One limit of the budget, held against what was measured."""

    name: str
    """The limit's name in the budget, for instance ``min_sqnr_db``; ``finite`` always holds, ``varies`` is there if an
    output hardly depends on its input, and on golden inputs ``golden_tolerance``."""
    metric: str
    """The metric's name."""
    limit: float
    """What the budget allows."""
    value: float | None
    """What was measured; null: infinite, as the SQNR of identical outputs."""
    interval: Interval | None
    """The confidence interval; null for a metric of single elements, which has none."""
    result: LimitResult
    """Its result."""


class Leg(Spec):
    """The difference of two traces for one output."""

    name: LegName
    """The leg."""
    artifact: str | None
    """The artifact's file, for the legs that end in one."""
    samples: int | None = None
    """Number of samples, the first ones, where they are fewer than the report's."""
    output: str
    """The output's name."""
    reference: str
    """Where and how the reference was computed."""
    candidate: str
    """Where and how the candidate was computed."""
    metrics: Metrics
    """The measured differences."""
    intervals: dict[str, Interval]
    """Confidence intervals by metric; also of losses and shares, whose names end in ``_drop`` and ``_ratio``."""
    checks: tuple[Check, ...]
    """The limits that apply to this output."""

    @property
    def breaches(self) -> tuple[Check, ...]:
        """The limits that are broken beyond noise."""
        return tuple(check for check in self.checks if check.result is LimitResult.BROKEN)

    @property
    def doubts(self) -> tuple[Check, ...]:
        """The limits whose break is not told apart from noise."""
        return tuple(check for check in self.checks if check.result is LimitResult.NOISE)


class DriftReport(Spec):
    """All legs over one set of samples, and the verdict."""

    samples: int
    """Number of evaluation samples."""
    samples_sha256: str = ""
    """Digest of the evaluation samples and their true values: reports of other samples do not compare."""
    bootstrap: Bootstrap = Bootstrap()
    """How the confidence intervals were made."""
    legs: tuple[Leg, ...]
    """The legs, in the order of the pipeline."""
    notes: tuple[str, ...] = ()
    """What a reader must know to read the numbers, for instance that the baseline was made on a CPU."""

    @property
    def within_budget(self) -> bool:
        """Whether no leg breaks a limit beyond noise."""
        return not any(leg.breaches for leg in self.legs)

    def __repr__(self) -> str:
        """Return one line: all the metrics of all legs would be pages."""
        verdict = "within the budget" if self.within_budget else "over the budget"
        return f"<drift of {len(self.legs)} legs on {self.samples} samples: {verdict}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a row for each leg."""
        rows = "".join(
            f"<tr><td>{escape(leg.name)}</td><td>{escape(leg.artifact or '')}</td><td>{escape(leg.output)}</td>"
            f"<td>{'identical' if leg.metrics.sqnr_db is None else f'{leg.metrics.sqnr_db:.2f}'}</td>"
            f"<td>{'broken' if leg.breaches else 'kept'}</td></tr>"
            for leg in self.legs
        )
        head = "<th>leg</th><th>artifact</th><th>output</th><th>SQNR dB</th><th>limits</th>"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

"""Drift in legs, held against a budget: values only, see ``compare`` for how they are made."""

from typing import Literal

from edgekit.drift.metrics import Metrics
from edgekit.spec import Spec

LegName = Literal["server", "quantization", "lowering", "total", "device"]


class Breach(Spec):
    """A limit that was not kept."""

    metric: str
    """The metric's name."""
    limit: float
    """What the budget allows."""
    value: float
    """What was measured."""


class Leg(Spec):
    """The difference of two traces for one output."""

    name: LegName
    """The leg."""
    artifact: str | None
    """The artifact's file, for the legs that end in one."""
    output: str
    """The output's name."""
    reference: str
    """Where and how the reference was computed."""
    candidate: str
    """Where and how the candidate was computed."""
    metrics: Metrics
    """The measured differences."""
    breaches: tuple[Breach, ...]
    """Limits of the budget that were not kept."""


class DriftReport(Spec):
    """All legs over one set of samples, and the verdict."""

    samples: int
    """Number of evaluation samples."""
    legs: tuple[Leg, ...]
    """The legs, in the order of the pipeline."""
    notes: tuple[str, ...] = ()
    """What a reader must know to read the numbers, for instance that the baseline was made on a CPU."""

    @property
    def within_budget(self) -> bool:
        """Whether no leg breaks a limit."""
        return not any(leg.breaches for leg in self.legs)

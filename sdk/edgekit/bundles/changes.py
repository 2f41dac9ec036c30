"""What a change did: two builds held against each other. Values for the table, the JSON and a page; no torch.

Nothing is run here. The numbers are those that the builds, or a comparison with a baseline, have measured.
"""

from collections import Counter
from enum import StrEnum
from typing import Literal

from edgekit.bundles.manifest import ArtifactInfo, Report
from edgekit.bundles.timing import LatencyChange, Timings
from edgekit.drift.report import DriftReport
from edgekit.drift.statistics import Interval
from edgekit.spec import Spec


class Change(StrEnum):
    """How a number changed."""

    SAME = "same"
    """Equal."""
    BETTER = "better"
    """Better, and the confidence intervals do not overlap."""
    WORSE = "worse"
    """Worse, and the confidence intervals do not overlap."""
    SMALL = "small"
    """Different by less than anybody would act on."""
    NOISE = "noise"
    """Different, but the confidence intervals overlap."""
    DIFFERS = "differs"
    """Different, and which is better cannot be said: other samples, only one side, or no direction."""


class MetricChange(Spec):
    """One metric of one leg."""

    metric: str
    """The metric's name."""
    old: float | None
    """The old value; null: not measured, or an SQNR that is infinite."""
    new: float | None
    """The new value."""
    old_interval: Interval | None
    """Confidence interval of the old value, if it has one."""
    new_interval: Interval | None
    """Confidence interval of the new value, if it has one."""
    change: Change
    """Better, worse, the same, or not to be said."""


class LegChange(Spec):
    """One leg of one output."""

    name: str
    """The leg."""
    artifact: str | None
    """The artifact's file, for the legs that end in one."""
    output: str
    """The output's name."""
    sides: Literal["both", "old", "new"]
    """Where the leg was measured."""
    metrics: tuple[MetricChange, ...]
    """The metrics that either side has."""


class ArtifactChange(Spec):
    """One file."""

    file: str
    """Name of the file."""
    old: ArtifactInfo | None
    """The old file; null if there was none."""
    new: ArtifactInfo | None
    """The new file; null if there is none."""
    operators_added: tuple[str, ...]
    """Kernels that the runtime must carry now, and had not to."""
    operators_removed: tuple[str, ...]
    """Kernels that it need not carry any more."""
    delegates_added: tuple[str, ...]
    """Backends that the runtime must carry now, and had not to."""
    delegates_removed: tuple[str, ...]
    """Backends that it need not carry any more."""
    not_delegated_added: tuple[str, ...]
    """Operations that are outside the delegates now."""
    not_delegated_removed: tuple[str, ...]
    """Operations that were outside, and are not any more."""


class ValueChange(Spec):
    """Something with a name that differs: a library's version, the model's weights, the target."""

    name: str
    """What it is."""
    old: str | None
    """The old value; null if there was none."""
    new: str | None
    """The new value; null if there is none."""


class Side(Spec):
    """One of the two builds."""

    path: str
    """The path that was given."""
    report: Report | None
    """What the build measured; null for an artifact or a trace, which was measured now."""
    drift: DriftReport
    """The drift."""
    timings: tuple[Timings, ...] = ()
    """The latencies, as far as the bundle was profiled."""

    @property
    def passed(self) -> bool:
        """Whether it is within its limits."""
        return self.drift.within_budget if self.report is None else self.report.verdict == "passed"

    @property
    def artifacts(self) -> tuple[ArtifactInfo, ...]:
        """The files, if it is a build."""
        return () if self.report is None else self.report.artifacts


class BundleComparison(Spec):
    """What the change from ``old`` to ``new`` did."""

    old: Side
    """The build before."""
    new: Side
    """The build after, whose verdict counts."""
    legs: tuple[LegChange, ...]
    """The drift, leg by leg."""
    artifacts: tuple[ArtifactChange, ...]
    """The files."""
    latency: tuple[LatencyChange, ...]
    """How long the files take, on the machine that profiled and on a phone; nothing for what is no build."""
    settings: tuple[ValueChange, ...]
    """What else differs: weights, target, baseline and library versions."""
    notes: tuple[str, ...]
    """What a reader must know to read the numbers."""

    def __repr__(self) -> str:
        """Return one line."""
        counts = Counter(one.change for leg in self.legs for one in leg.metrics)
        told = ", ".join(f"{counts[change]} {change}" for change in Change if counts[change])
        return f"<{self.old.path} to {self.new.path}: {told or 'nothing to compare'}>"

    __str__ = __repr__

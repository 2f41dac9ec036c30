"""What a change did: two builds held against each other. Values for the table, the JSON and a page; no torch.

Nothing is run here. The numbers are those that the builds, or a comparison with a baseline, have measured.
"""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from edgekit import bundle, timing
from edgekit.bundle import REPORT_FILE
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import DriftReport, Leg
from edgekit.drift.statistics import Interval
from edgekit.errors import BundleError
from edgekit.manifest import ArtifactInfo, Report, parse_report, report
from edgekit.spec import Spec
from edgekit.timing import LatencyChange, Timings

# Smaller is better; of all other metrics larger is.
_ERRORS = {"max_abs_error", "mean_abs_error", "non_finite", "kl_divergence", "mae"}
_COMPARED = tuple(name for name in Metrics.model_fields if not name.startswith("reference_") and name != "custom")
# Of these null means infinite, of the others not measured.
_UNBOUNDED = {"sqnr_db"}


class Change(StrEnum):
    """What became of a number."""

    SAME = "same"
    """Equal."""
    BETTER = "better"
    """Better, and the confidence intervals do not overlap."""
    WORSE = "worse"
    """Worse, and the confidence intervals do not overlap."""
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
    """What became of it."""


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


def read(path: Path) -> Side:
    """Read what a build measured, from its folder or from its ``report.json``.

    Raises:
        BundleError: If there is no bundle or report, or it is damaged.
    """
    timings: tuple[Timings, ...] = ()
    if path.is_dir():
        found = report(bundle.read(path))
        timings = timing.read(path)
    elif path.is_file():
        found = parse_report(path.read_text(encoding="utf-8", errors="replace"), where=str(path))
    else:
        raise BundleError(f"{path} is missing.", hint=f"Give a bundle's folder or a {REPORT_FILE}.")
    return Side(path=str(path), report=found, drift=found.drift, timings=timings)


def compare(old: Side, new: Side) -> BundleComparison:
    """Hold two builds against each other; legs and files are matched by name."""
    same = bool(old.drift.samples_sha256) and old.drift.samples_sha256 == new.drift.samples_sha256
    before, after = _legs(old), _legs(new)
    files = [{info.file: info for info in side.artifacts} for side in (old, new)]
    names = tuple({**files[0], **files[1]})
    latency, notes = timing.compare(names, old.timings, new.timings)
    return BundleComparison(
        old=old,
        new=new,
        legs=tuple(_leg(before.get(key), after.get(key), comparable=same) for key in {**before, **after}),
        artifacts=tuple(_artifact(name, files[0].get(name), files[1].get(name)) for name in names),
        latency=latency,
        settings=_settings(old, new),
        notes=(*_notes(old, new, same=same), *notes),
    )


def _legs(side: Side) -> dict[tuple[str, str | None, str], Leg]:
    # A bare file may have any name, and is to be matched with another one.
    return {(leg.name, leg.artifact if side.report else None, leg.output): leg for leg in side.drift.legs}


def _leg(old: Leg | None, new: Leg | None, *, comparable: bool) -> LegChange:
    leg = new or old
    assert leg is not None
    own = {name: None for one in (old, new) if one is not None for name in one.metrics.custom}
    changes = (_metric(name, old, new, comparable=comparable) for name in (*_COMPARED, *own))
    return LegChange(
        name=leg.name,
        artifact=leg.artifact,
        output=leg.output,
        sides="both" if old is not None and new is not None else "old" if new is None else "new",
        metrics=tuple(change for change in changes if change is not None),
    )


def _metric(name: str, old: Leg | None, new: Leg | None, *, comparable: bool) -> MetricChange | None:
    sides = [None if leg is None else _value(name, leg) for leg in (old, new)]
    if sides == [None, None]:
        return None
    ranges = [None if leg is None else leg.intervals.get(name) for leg in (old, new)]
    before, after = (None if value == float("inf") else value for value in sides)
    change = Change.DIFFERS
    if sides[0] == sides[1]:
        change = Change.SAME
    elif comparable and sides[0] is not None and sides[1] is not None:
        change = _judged(sides[1] - sides[0], _direction(name, new), ranges[0], ranges[1])
    return MetricChange(
        metric=name, old=before, new=after, old_interval=ranges[0], new_interval=ranges[1], change=change
    )


def _value(name: str, leg: Leg) -> float | None:
    if name not in Metrics.model_fields:
        return leg.metrics.custom.get(name)
    value: float | None = getattr(leg.metrics, name)
    return float("inf") if value is None and name in _UNBOUNDED else value


def _direction(name: str, leg: Leg | None) -> int:
    """Return 1 where larger is better, -1 where smaller is, and 0 where nobody has said so."""
    if name in Metrics.model_fields:
        return -1 if name in _ERRORS else 1
    limits = {check.name for check in leg.checks if check.metric == name} if leg is not None else set()
    return {frozenset({f"min_{name}"}): 1, frozenset({f"max_{name}"}): -1}.get(frozenset(limits), 0)


def _judged(difference: float, direction: int, old: Interval | None, new: Interval | None) -> Change:
    if old is not None and new is not None and _overlap(old, new):
        return Change.NOISE
    if direction == 0:
        return Change.DIFFERS
    return Change.BETTER if difference * direction > 0 else Change.WORSE


def _overlap(one: Interval, other: Interval) -> bool:
    infinite = float("inf")
    ends = [(infinite if i.low is None else i.low, infinite if i.high is None else i.high) for i in (one, other)]
    return ends[0][0] <= ends[1][1] and ends[1][0] <= ends[0][1]


def _artifact(file: str, old: ArtifactInfo | None, new: ArtifactInfo | None) -> ArtifactChange:
    def added(one: ArtifactInfo | None, other: ArtifactInfo | None, field: str) -> tuple[str, ...]:
        if one is None or other is None:
            return ()
        return tuple(sorted(set(getattr(other, field)) - set(getattr(one, field))))

    return ArtifactChange(
        file=file,
        old=old,
        new=new,
        operators_added=added(old, new, "operators"),
        operators_removed=added(new, old, "operators"),
        delegates_added=added(old, new, "delegates"),
        delegates_removed=added(new, old, "delegates"),
        not_delegated_added=added(old, new, "not_delegated"),
        not_delegated_removed=added(new, old, "not_delegated"),
    )


def _settings(old: Side, new: Side) -> tuple[ValueChange, ...]:
    if old.report is None or new.report is None:
        return ()
    sides = [
        {
            "model": report.model.name,
            "weights": report.model.weights_sha256,
            "target": report.target.name,
            "baseline": report.baseline,
            **report.producer,
        }
        for report in (old.report, new.report)
    ]
    names = sides[0] | sides[1]
    found = (ValueChange(name=name, old=sides[0].get(name), new=sides[1].get(name)) for name in names)
    return tuple(change for change in found if change.old != change.new)


def _notes(old: Side, new: Side, *, same: bool) -> tuple[str, ...]:
    notes = []
    if not same:
        notes.append(
            f"The two were measured on other evaluation samples ({old.drift.samples} and {new.drift.samples}): "
            "which drift is better is not said."
        )
    if old.drift.bootstrap.confidence != new.drift.bootstrap.confidence:
        levels = [f"{100 * side.drift.bootstrap.confidence:g} %" for side in (old, new)]
        notes.append(f"The confidence levels differ: {' and '.join(levels)}.")
    return tuple(notes)

"""Hold two builds against each other. Nothing is run here: the numbers are those that were measured before."""

from pathlib import Path

from edgekit.bundles import timing
from edgekit.bundles.changes import ArtifactChange, BundleComparison, Change, LegChange, MetricChange, Side, ValueChange
from edgekit.bundles.contents import REPORT_FILE
from edgekit.bundles.manifest import ArtifactInfo, parse_report, report
from edgekit.bundles.read import read as read_bundle
from edgekit.bundles.read import text_of
from edgekit.bundles.timing import Timings
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import Leg
from edgekit.drift.statistics import Interval
from edgekit.errors import BundleError

# Smaller is better; of all other metrics larger is.
_ERRORS = {"max_abs_error", "mean_abs_error", "non_finite", "kl_divergence", "mae"}
_COMPARED = tuple(name for name in Metrics.model_fields if not name.startswith("reference_") and name != "custom")
# Of these null means infinite, of the others not measured.
_UNBOUNDED = {"sqnr_db"}

# A change below this is of no interest: of shares a tenth of a point, of errors a twentieth of the old one.
_SMALLEST = {"sqnr_db": 0.5, "cosine": 0.0005, "r2": 0.001, "r2_agreement": 0.001}
_SMALLEST_SHARE, _SMALLEST_RATIO = 0.001, 0.05


def read_side(path: Path) -> Side:
    """Read what a build measured, from its folder or from its ``report.json``.

    Raises:
        BundleError: If there is no bundle or report, or it is damaged.
    """
    timings: tuple[Timings, ...] = ()
    if path.is_dir():
        found = report(read_bundle(path))
        timings = timing.read(path)
    elif path.is_file():
        found = parse_report(text_of(path), where=str(path))
    else:
        raise BundleError(f"{path} is missing.", hint=f"Give a bundle's folder or a {REPORT_FILE}.")
    return Side(path=str(path), report=found, drift=found.drift, timings=timings)


def compare_builds(old: Side, new: Side) -> BundleComparison:
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
    elif comparable and sides[0] is not None and sides[1] is not None and _is_small(name, sides[0], sides[1]):
        change = Change.SMALL
    elif comparable and sides[0] is not None and sides[1] is not None:
        change = _judged(sides[1] - sides[0], _direction(name, new), ranges[0], ranges[1])
    return MetricChange(
        metric=name, old=before, new=after, old_interval=ranges[0], new_interval=ranges[1], change=change
    )


def _is_small(name: str, old: float, new: float) -> bool:
    """Whether a change is below the smallest effect of interest; of a project's own metrics nobody knows that."""
    if name not in Metrics.model_fields or name == "non_finite":
        return False
    difference = abs(new - old)
    if name in _ERRORS:
        return difference < _SMALLEST_RATIO * abs(old)
    return difference < _SMALLEST.get(name, _SMALLEST_SHARE)


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


def larger_is_better(name: str, leg: Leg) -> bool:
    """Whether a larger value of a metric is better; of one that nobody has said so of, too."""
    return _direction(name, leg) >= 0


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

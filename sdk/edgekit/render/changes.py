"""What a change did, as a table and in words."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.changes import ArtifactChange, BundleComparison, Change, LegChange, MetricChange
from edgekit.bundles.timing import LatencyChange
from edgekit.drift.statistics import Interval
from edgekit.render import summary
from edgekit.render.layout import heading, indented, simple_table
from edgekit.render.tables import show_verdict

_STYLES = {
    Change.SAME: "dim",
    Change.SMALL: "dim",
    Change.BETTER: "green",
    Change.WORSE: "bold red",
    Change.NOISE: "yellow",
    Change.DIFFERS: "",
}


def show_changes(console: Console, found: BundleComparison) -> None:
    """Print files, other differences, the metrics that changed, and the verdict of the new build."""
    heading(console, f"{found.old.path} to {found.new.path}", _measured(found))
    if told := headline(found):
        console.print(Text(f"{told[0].upper()}{told[1:]}."))
    console.print()
    if found.artifacts:
        table = simple_table(("file", "left"), ("size", "right"), ("delegated", "right"), ("int8", "right"))
        for artifact in found.artifacts:
            table.add_row(*map(Text, artifact_row(artifact)))
        console.print(indented(table))
        console.print()
    if found.latency:
        table = simple_table(*((title, "left" if number < 2 else "right") for number, title in enumerate(LATENCY)))
        for change in found.latency:
            table.add_row(*map(Text, latency_row(change)))
        console.print(indented(table))
        console.print()
    for line in words(found):
        console.print(indented(Text(line)))
    right = "right"
    table = simple_table(("leg", "left"), ("metric", "left"), ("old", right), ("new", right), ("change", "left"))
    for leg, one in changed(found):
        row = [where(found, leg), one.metric, *values(one)]
        table.add_row(*map(Text, row), Text(one.change, _STYLES[one.change]))
    if table.row_count:
        console.print()
        console.print(indented(table))
    console.print(indented(Text(unchanged(found), "dim")))
    console.print()
    show_verdict(console, failures(found), list(verdict.doubts_of(found.new.drift)), found.new.path)


def failures(found: BundleComparison) -> list[str]:
    """Return one line for each limit that the new build breaks."""
    return [*verdict.of_drift(found.new.drift), *verdict.of_sizes(found.new.artifacts)]


def changed(found: BundleComparison) -> list[tuple[LegChange, MetricChange]]:
    """Return the metrics that changed by so much that somebody may act on it, what matters most first."""
    order = (Change.WORSE, Change.BETTER, Change.DIFFERS, Change.NOISE)
    rows = [(leg, one) for leg in found.legs for one in leg.metrics if one.change in order]
    return sorted(rows, key=lambda row: order.index(row[1].change))


def unchanged(found: BundleComparison) -> str:
    """Say how many metrics did not change, or by less than is of interest."""
    changes = [one.change for leg in found.legs for one in leg.metrics]
    same, small = changes.count(Change.SAME), changes.count(Change.SMALL)
    told = f"{same} metric{'' if same == 1 else 's'} did not change"
    return f"{told}, {small} by less than is of interest." if small else f"{told}."


def headline(found: BundleComparison) -> str:
    """Say what became of how good the artifacts are; that it is unchanged is news, too."""
    new = summary.quality(found.new.drift)
    if new is None:
        return ""
    old = summary.quality(found.old.drift)
    if old is None or old.name != new.name:
        return f"{new.name} {new.value}"
    return f"{new.name} {new.value}, " + ("unchanged" if old.value == new.value else f"was {old.value}")


def where(found: BundleComparison, leg: LegChange) -> str:
    """Return the leg's name, its artifact and, where there are several, its output."""
    several = len({other.output for other in found.legs}) > 1
    words = [leg.name, leg.artifact or "", leg.output if several else ""]
    return " ".join(filter(None, words)) + ("" if leg.sides == "both" else f" ({leg.sides} only)")


def values(one: MetricChange) -> tuple[str, str]:
    """Return both values with their intervals; nothing for a side that has none."""
    return _value(one.old, one.old_interval), _value(one.new, one.new_interval)


def _value(value: float | None, interval: Interval | None) -> str:
    if value is None and interval is None:
        return ""
    return f"{verdict.number(value)} ({verdict.interval(interval)})" if interval else verdict.number(value)


def artifact_row(change: ArtifactChange) -> tuple[str, ...]:
    """Return the file, its size, and the shares that are delegated and in int8, each old and new."""
    old, new = change.old, change.new
    if old is None or new is None:
        one = new or old
        assert one is not None
        return (f"{change.file} ({'removed' if new is None else 'new'})", numbers.kilobytes(one.bytes), "", "")
    share = f" ({_percent(old.bytes, new.bytes)})" if old.bytes else ""  # a report may have been written by anybody
    size = f"{numbers.kilobytes(old.bytes)} to {numbers.kilobytes(new.bytes)}{share}"
    if old.bytes == new.bytes:
        size = numbers.kilobytes(new.bytes)
    shares = [
        " to ".join(dict.fromkeys(f"{numbers.percent(share)} %" for share in pair))
        for pair in (
            (old.delegated_fraction, new.delegated_fraction),
            (old.int8_fraction, new.int8_fraction),
        )
    ]
    return (change.file, size, *shares)


LATENCY = ("latency of", "on", "median", "ratio", "p99", "ratio")


def latency_row(change: LatencyChange) -> tuple[str, ...]:
    """Return the file, what ran it, and median and p99, each old and new with their ratio."""
    pairs = [
        (None if side is None else side.median_ms, None if side is None else side.p99_ms)
        for side in (change.old, change.new)
    ]
    medians, tails = zip(*pairs, strict=True)
    return (
        change.artifact, change.where, _milliseconds(medians), _ratio(change.median_ratio),
        _milliseconds(tails), _ratio(change.p99_ratio),
    )  # fmt: skip


def _milliseconds(pair: tuple[float | None, ...]) -> str:
    if all(value is None for value in pair):
        return "not measured"
    return " to ".join("not measured" if value is None else f"{value:.3f} ms" for value in pair)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def words(found: BundleComparison) -> Iterator[str]:
    """Yield what else differs, one line each."""
    for change in found.artifacts:
        for word, names in (
            ("operators added", change.operators_added),
            ("operators removed", change.operators_removed),
            ("delegates added", change.delegates_added),
            ("delegates removed", change.delegates_removed),
            ("no longer delegated", change.not_delegated_added),
            ("delegated now", change.not_delegated_removed),
        ):
            if names:
                yield f"{change.file} {word}: {numbers.shortened(names)}"
        if change.old is not None and change.new is not None and change.old.sha256 == change.new.sha256:
            yield f"{change.file}: the same bytes"
    for setting in found.settings:
        short = 12 if setting.name == "weights" else None  # a digest
        old, new = ("none" if value is None else value[:short] for value in (setting.old, setting.new))
        yield f"{setting.name}: {old} to {new}"
    for note in found.notes:
        yield f"note: {note}"


def _percent(old: int, new: int) -> str:
    return f"{100 * (new - old) / old:+.1f} %"


def _measured(found: BundleComparison) -> str:
    recorded = [side.report is not None for side in (found.old, found.new)]
    return "as their builds measured them" if all(recorded) else ""

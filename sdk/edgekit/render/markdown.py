"""Markdown for a pull request: what was judged, each limit, and what a change did."""

import re
from collections.abc import Iterable

from edgekit.base.text import line
from edgekit.bundles import verdict
from edgekit.bundles.changes import BundleComparison, Change, MetricChange
from edgekit.drift.report import DriftReport, LimitResult
from edgekit.render import changes
from edgekit.render.cases import Suite

_WORDS = {
    LimitResult.KEPT: "kept",
    LimitResult.NOISE: "noise",
    LimitResult.BROKEN: "**broken**",
    LimitResult.NOT_JUDGED: "not judged",
}

# What Markdown reads as a mark, and what GitHub makes a link, a mention or a formula of. Of underscores only those mean
# something that stand at the edge of a word.
_MARKS = re.compile(
    r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.|@(?=\w)|#(?=\d)|^[#+=-](?=\s)|(?<=^\d)[.)](?=\s)",
    re.IGNORECASE,
)


def of_build(judged: Iterable[tuple[Suite, DriftReport]]) -> str:
    """Return one section for each build: its verdict, its limits, and the metrics behind them."""
    return "\n".join(_section(suite, drift) for suite, drift in judged)


def of_changes(suite: Suite, found: BundleComparison) -> str:
    """Return what a change did, and the limits of the new build."""
    told = changes.headline(found)
    lines = [
        f"### EdgeKit: {escaped(found.old.path)} to {escaped(found.new.path)}\n",
        f"The new build {'passed' if found.new.passed else '**failed**'}; the old one "
        f"{'passed' if found.old.passed else 'failed'}.{f' {told[0].upper()}{escaped(told[1:])}.' if told else ''}\n",
    ]
    if found.artifacts:
        lines += _table(("file", "size", "delegated", "int8"), [changes.artifact_row(one) for one in found.artifacts])
    if found.latency:
        lines += _table(changes.LATENCY, map(changes.latency_row, found.latency))
    lines += [f"* {escaped(words)}" for words in changes.words(found)]
    rows = [
        (changes.where(found, leg), one.metric, *changes.values(one), _change(one))
        for leg, one in changes.changed(found)
    ]
    if rows:
        lines += ["", *_table(("leg", "metric", "old", "new", "change"), rows)]
    lines.append(f"\n{changes.unchanged(found)}\n")
    return "\n".join(lines) + "\n" + _section(suite, found.new.drift)


def _change(one: MetricChange) -> str:
    return f"**{one.change}**" if one.change is Change.WORSE else str(one.change)


def _section(suite: Suite, drift: DriftReport) -> str:
    confidence = f"{100 * drift.bootstrap.confidence:g} % interval"
    rows = [
        (case.place, case.name, case.allowed, case.measured, case.interval, _WORDS[case.result])
        for case in suite.cases
        if case.name != "finite" or case.result is LimitResult.BROKEN
    ]
    lines = [
        f"### EdgeKit: {escaped(suite.name)} {'passed' if suite.passed else '**failed**'}\n",
        *_table(("where", "limit", "allowed", "measured", confidence, ""), rows),
        f"Measured on {drift.samples} samples.\n",
        *(f"* {escaped(words)}" for words in (*verdict.doubts_of(drift), *drift.notes)),
        "",
        "<details><summary>All metrics</summary>\n",
        *_table(("leg", "output", "metric", "value", confidence), _metrics(drift)),
        "</details>\n",
    ]
    return "\n".join(lines)


def _metrics(drift: DriftReport) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for leg in drift.legs:
        values = leg.metrics.model_dump(exclude={"custom"}) | leg.metrics.custom
        for name, value in values.items():
            if value is None and name != "sqnr_db":
                continue
            interval = leg.intervals.get(name)
            rows.append((verdict.leg_name(leg), leg.output, name, verdict.number(value), verdict.interval(interval)))
    return rows


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, whose last column holds words of our own, which may be bold."""
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    lines += [f"| {' | '.join((*map(escaped, row[:-1]), row[-1]))} |" for row in rows]
    return [*lines, ""]


def escaped(value: str) -> str:
    """Keep what a person named from being read as Markdown."""
    return _MARKS.sub(lambda found: "\\|" if found[0] == "|" else f"&#{ord(found[0])};", line(value.replace("\n", " ")))

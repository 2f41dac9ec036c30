"""Sweeps and stores as a person reads them, and as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles.cells import Failure, Result, Swept
from edgekit.bundles.scorecard import Scorecard
from edgekit.render.layout import indented, simple_table

_SHOWN = 40
_STYLES = {"passed": "green", "failed": "bold red", "refused": "yellow"}


def show_swept(console: Console, done: Swept, store: str) -> None:
    """Print how many cells there are of each verdict, what they took, and those that are not passed."""
    counts = Counter(one.verdict for one in done.results.values())
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none done"
    parts = [f"{len({key for _, key in done.cells})} cells: {told}"]
    if done.failures:
        parts.append(f"{len(done.failures)} could not be done")
    parts.append(f"{done.stored_before} were in the store before")
    console.print(Text(", ".join(parts) + "."))
    took = sum(one.seconds for key, one in done.results.items())
    console.print(Text(f"{done.seconds:.1f} s on {done.where}; all cells together took {took:.1f} s. Store: {store}"))
    if done.lost:
        console.print(Text(f"{done.lost} attempts ended without an answer."))
    rows = [(str(name), one) for name, key in done.cells if (one := done.results.get(key)) is not None]
    table = simple_table(("cell", "left"), ("verdict", "left"), ("seconds", "right"), ("why", "left"))
    wanted = [row for row in rows if row[1].verdict != "passed"]
    for name, one in wanted[:_SHOWN]:
        table.add_row(Text(name), Text(one.verdict, _STYLES[one.verdict]), f"{one.seconds:.1f}", Text(one.error))
    if wanted:
        console.print()
        console.print(indented(table))
    if len(wanted) > _SHOWN:
        console.print(Text(f"and {len(wanted) - _SHOWN} more", "dim"))
    for name, reason in done.left_out.items():
        console.print(Text(f"left out {name}: {reason}", "dim"), soft_wrap=True)


def show_results(
    console: Console,
    results: Sequence[Result],
    failures: Sequence[Failure],
    sweeps: Sequence[tuple[str, int]],
    size: int,
) -> None:
    """Print one row for each result, then the failures, and the sweeps."""
    table = simple_table(
        ("cell", "left"),
        ("verdict", "left"),
        ("seconds", "right"),
        ("stored", "right"),
        ("where", "left"),
        ("key", "left"),
    )
    for one in results:
        verdict = Text(one.verdict, _STYLES[one.verdict])
        row = (f"{one.seconds:.1f}", numbers.kilobytes(one.stored_bytes), one.host, one.key[:12])
        table.add_row(Text(str(one.name)), verdict, *map(Text, row))
    if results:
        console.print(table)
    for failure in failures:
        console.print(Text(_failed(failure)), soft_wrap=True)
    told = ", ".join(f"{tag} ({count} cells)" for tag, count in sweeps) or "none"
    console.print(Text(f"sweeps: {told}; all files together {numbers.kilobytes(size)}", "dim"))


def show_logs(console: Console, failures: Sequence[Failure]) -> None:
    """Print what was printed of cells that could not be done."""
    for failure in failures:
        console.print(Text(_failed(failure)), soft_wrap=True)
        console.print(indented(Text(failure.log or "nothing was printed", "dim")))


def _failed(failure: Failure) -> str:
    times = f"{failure.attempts} attempt{'s' if failure.attempts > 1 else ''}"
    return f"{failure.name}: failed after {times}: {failure.reason}"


def swept_json(done: Swept, store: str) -> dict[str, Any]:
    """Return what came of a sweep, as JSON values."""
    return {
        "passed": done.passed,
        "store": store,
        "seconds": done.seconds,
        "where": done.where,
        "stored_before": done.stored_before,
        "lost": done.lost,
        "cells": [{"name": str(name), "key": key, "result": _dumped(done, key)} for name, key in done.cells],
        "left_out": dict(done.left_out),
    }


def results_json(results: Iterable[Result], failures: Iterable[Failure]) -> dict[str, Any]:
    """Return what a store holds, as JSON values."""
    return {
        "results": [one.model_dump(mode="json", exclude={"entries"}) for one in results],
        "failures": [one.model_dump(mode="json") for one in failures],
    }


def _dumped(done: Swept, key: str) -> dict[str, Any] | None:
    found = done.results.get(key) or done.failures.get(key)
    return None if found is None else found.model_dump(mode="json", exclude={"entries", "key", "name"})


def show_scorecard(console: Console, card: Scorecard, page: Path) -> None:
    """Print how many cells there are of each verdict, what became worse, and where the site is."""
    counts = Counter(one.verdict for one in card.scores)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    console.print(Text(f"{card.tag}: {len(card.scores)} cells: {told}."))
    if card.since is not None:
        console.print(
            Text(
                f"{len(card.regressions)} regressions since {card.since} in {card.compared} cells; "
                f"{card.noise} metrics fell within noise."
            )
        )
    table = simple_table(
        ("cell", "left"), ("file", "left"), ("what", "left"), ("old", "right"), ("new", "right"), ("sure", "right")
    )
    for one in card.regressions[:_SHOWN]:
        old, new = (side if isinstance(side, str) else numbers.figure(side or 0) for side in (one.old, one.new))
        sure = "exact" if one.sureness is None else f"{one.sureness:.1f}"
        table.add_row(*map(Text, (str(one.name), one.artifact or "", one.what, old, new, sure)))
    if card.regressions:
        console.print(indented(table))
    console.print(Text(f"Site: {page}"), soft_wrap=True)

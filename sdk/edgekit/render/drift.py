"""The drift table: one row a leg, as many metrics as the width allows."""

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgekit.drift.metrics import Metrics
from edgekit.drift.report import DriftReport, Leg
from edgekit.render import numbers
from edgekit.render.layout import indented
from edgekit.render.terminal import symbol
from edgekit.render.verdict import leg_name


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric."""

    title: str
    cell: Callable[[Metrics], str]
    of: tuple[str, ...]
    """Words that a breached metric's name begins with, for the mark."""
    keep: int
    """The least is left out first where the table is too wide."""


def _share(value: float | None) -> str:
    return "" if value is None else numbers.percent(value, 2)


def _accuracy(metrics: Metrics) -> str:
    if metrics.accuracy is None or metrics.reference_accuracy is None:
        return ""
    return f"{_share(metrics.reference_accuracy)} > {_share(metrics.accuracy)}"


COLUMNS = (
    Column(
        title="SQNR dB",
        cell=lambda m: "identical" if m.sqnr_db is None else f"{m.sqnr_db:.2f}",
        of=("sqnr",),
        keep=9,
    ),
    Column(title="max abs", cell=lambda m: numbers.small(m.max_abs_error), of=("max_abs",), keep=7),
    Column(title="mean abs", cell=lambda m: numbers.small(m.mean_abs_error), of=("mean_abs",), keep=1),
    Column(title="cosine", cell=lambda m: numbers.cosine(m.cosine), of=("cosine",), keep=4),
    Column(title="top-1 %", cell=lambda m: _share(m.top1_agreement), of=("top1",), keep=6),
    Column(title="top-5 %", cell=lambda m: _share(m.top5_agreement), of=("top5",), keep=2),
    Column(
        title="KL nats",
        cell=lambda m: "" if m.kl_divergence is None else numbers.small(m.kl_divergence),
        of=("kl",),
        keep=3,
    ),
    Column(title="accuracy %", cell=_accuracy, of=("accuracy",), keep=8),
    Column(title="NaN/inf", cell=lambda m: str(m.non_finite) if m.non_finite else "", of=("non_finite",), keep=10),
)


def show_drift(console: Console, report: DriftReport) -> None:
    """Print the legs, what is over its limit, where each side was computed, and the notes."""
    columns = [column for column in COLUMNS if any(column.cell(leg.metrics) for leg in report.legs)]
    dropped = []
    # Not console.measure: it clips its answer to the width of the console, and so finds that everything fits.
    wide = console.options.update(width=10_000)
    while console.measure(table := _table(console, report, columns), options=wide).maximum > console.width - 2:
        if len(columns) <= 2:
            break
        dropped.append(columns.pop(columns.index(min(columns, key=lambda column: column.keep))))
    console.print(indented(table))
    if dropped:
        titles = ", ".join(column.title.split()[0] if "abs" not in column.title else column.title for column in dropped)
        console.print(indented(Text(f"No room for: {titles}. A wider terminal or --json shows all.", "dim")))
    console.print()
    _show_places(console, report)
    for note in report.notes:
        console.print(indented(Text.assemble(("note: ", "yellow"), note)))


def _table(console: Console, report: DriftReport, columns: list[Column]) -> Table:
    several = len({leg.output for leg in report.legs}) > 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("leg", no_wrap=True)
    if several:
        table.add_column("output", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    arrow = symbol(console, "→", ">")
    for leg in report.legs:
        cells = [Text(leg_name(leg).replace("model.", "")), *([Text(leg.output)] if several else [])]
        for column in columns:
            cell = Text(column.cell(leg.metrics).replace(" > ", arrow))
            if _breached(leg, column):
                cell = Text.assemble(cell, "!", style="bold red")
            cells.append(cell)
        table.add_row(*cells)
    return table


def _breached(leg: Leg, column: Column) -> bool:
    names = [breach.metric.removeprefix("min_").removeprefix("max_") for breach in leg.breaches]
    starts = tuple(word.removeprefix("max_") for word in column.of)
    return any(name.startswith(starts) for name in names)


def _show_places(console: Console, report: DriftReport) -> None:
    """Print where and how each side was computed, each place once."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("samples", Text(str(report.samples)))
    places = dict.fromkeys(place for leg in report.legs for place in (leg.reference, leg.candidate))
    for number, place in enumerate(places):
        grid.add_row("" if number else "computed by", Text(place))
    console.print(indented(grid))

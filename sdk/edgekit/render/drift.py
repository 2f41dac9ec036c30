"""The drift table: one row a leg, as many metrics as the width allows; and the limits, one row each."""

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.verdict import leg_name
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import DriftReport, Leg, LimitResult
from edgekit.render.layout import indented, simple_table
from edgekit.render.terminal import symbol


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric."""

    title: str
    cell: Callable[[Metrics], str]
    of: tuple[str, ...]
    """The metrics that the limits are for, for the mark."""
    keep: int
    """The least is left out first where the table is too wide."""


def _share(value: float | None) -> str:
    return "" if value is None else numbers.percent(value, 2)


def _number(value: float | None) -> str:
    return "" if value is None else numbers.small(value)


def _pair(
    value: Callable[[Metrics], float | None], reference: Callable[[Metrics], float | None], show: Callable[[float], str]
) -> Callable[[Metrics], str]:
    def cell(metrics: Metrics) -> str:
        now, before = value(metrics), reference(metrics)
        return "" if now is None or before is None else f"{show(before)} > {show(now)}"

    return cell


COLUMNS = (
    Column(
        title="SQNR dB",
        cell=lambda m: "" if m.agreement is not None else "identical" if m.sqnr_db is None else f"{m.sqnr_db:.2f}",
        of=("sqnr_db",),
        keep=20,
    ),
    Column(title="equal %", cell=lambda m: _share(m.agreement), of=("agreement",), keep=18),
    Column(title="max abs", cell=lambda m: numbers.small(m.max_abs_error), of=("max_abs_error",), keep=7),
    Column(title="mean abs", cell=lambda m: numbers.small(m.mean_abs_error), of=("mean_abs_error",), keep=1),
    Column(title="cosine", cell=lambda m: numbers.cosine(m.cosine), of=("cosine",), keep=4),
    Column(title="top-1 %", cell=lambda m: _share(m.top1_agreement), of=("top1_agreement",), keep=6),
    Column(title="top-5 %", cell=lambda m: _share(m.top5_agreement), of=("top5_agreement",), keep=2),
    Column(title="KL nats", cell=lambda m: _number(m.kl_divergence), of=("kl_divergence",), keep=3),
    Column(
        title="accuracy %",
        cell=_pair(lambda m: m.accuracy, lambda m: m.reference_accuracy, _share),
        of=("accuracy_drop", "accuracy_ratio"),
        keep=18,
    ),
    Column(title="pixels %", cell=lambda m: _share(m.pixel_agreement), of=("pixel_agreement",), keep=8),
    Column(title="IoU agr. %", cell=lambda m: _share(m.iou_agreement), of=("iou_agreement",), keep=9),
    Column(
        title="mean IoU %",
        cell=_pair(lambda m: m.mean_iou, lambda m: m.reference_mean_iou, _share),
        of=("mean_iou_drop", "mean_iou_ratio"),
        keep=17,
    ),
    Column(title="mAP agr. %", cell=lambda m: _share(m.map_agreement), of=("map_agreement",), keep=10),
    Column(
        title="mAP %",
        cell=_pair(lambda m: m.mean_ap, lambda m: m.reference_mean_ap, _share),
        of=("mean_ap_drop", "mean_ap_ratio"),
        keep=16,
    ),
    Column(title="neighbours %", cell=lambda m: _share(m.neighbour_agreement), of=("neighbour_agreement",), keep=15),
    Column(title="R2 agr.", cell=lambda m: _number(m.r2_agreement), of=("r2_agreement",), keep=11),
    Column(
        title="R2",
        cell=_pair(lambda m: m.r2, lambda m: m.reference_r2, numbers.small),
        of=("r2_drop", "r2_ratio"),
        keep=14,
    ),
    Column(
        title="MAE", cell=_pair(lambda m: m.mae, lambda m: m.reference_mae, numbers.small), of=("mae_ratio",), keep=13
    ),
    Column(title="NaN/inf", cell=lambda m: str(m.non_finite) if m.non_finite else "", of=("non_finite",), keep=21),
)


def columns_of(report: DriftReport) -> list[Column]:
    """Return the columns that have something to show, the project's own metrics among them."""
    own = dict.fromkeys(name for leg in report.legs for name in leg.metrics.custom)
    return [column for column in (*COLUMNS, *map(_own, own)) if any(column.cell(leg.metrics) for leg in report.legs)]


def _own(name: str) -> Column:
    return Column(
        title=name,
        cell=lambda m: numbers.small(m.custom[name]) if name in m.custom else "",
        of=(name,),
        keep=19,
    )


def show_drift(console: Console, report: DriftReport) -> None:
    """Print the legs, what is over its limit, where each side was computed, and the notes."""
    columns = columns_of(report)
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
    _show_limits(console, report)
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
    return any(check.metric in column.of for check in leg.breaches)


def _show_limits(console: Console, report: DriftReport) -> None:
    """Print one row for each limit: what was measured, how sure that is, and its result."""
    several = len({leg.output for leg in report.legs}) > 1
    right = "right"
    table = simple_table(
        ("limit", "left"), ("leg", "left"), ("allowed", right), ("measured", right),
        (f"{100 * report.bootstrap.confidence:g} % interval", right), ("", "left"),
    )  # fmt: skip
    styles = {
        LimitResult.KEPT: "green",
        LimitResult.NOISE: "yellow",
        LimitResult.BROKEN: "bold red",
        LimitResult.NOT_JUDGED: "dim",
    }
    for leg in report.legs:
        where = leg_name(leg).replace("model.", "") + (f" {leg.output}" if several else "")
        for check in leg.checks:
            if check.name == "finite" and check.result is LimitResult.KEPT:
                continue
            row = [
                check.metric,
                where,
                verdict.allowed(check),
                verdict.number(check.value),
                verdict.interval(check.interval),
            ]
            table.add_row(*map(Text, row), Text(check.result.replace("_", " "), styles[check.result]))
    if table.row_count:
        console.print(indented(table))
    else:
        console.print(indented(Text("The budget has no limit that applies.", "yellow")))


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

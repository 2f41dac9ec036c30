"""What a training brought, as a person reads it, and as JSON."""

from typing import Any

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.drift.metrics import Metrics
from edgekit.render.drift import COLUMNS
from edgekit.render.layout import heading, indented, simple_table


def show_finetuning(
    console: Console,
    *,
    title: str,
    epochs: tuple[tuple[int, float | None, float], ...],
    best: int,
    drift: tuple[tuple[str, dict[str, Metrics]], ...],
    paste: tuple[str, ...],
) -> None:
    """Print the epochs, the drift before and after, and the lines to paste.

    Args:
        console: Where to.
        title: What was trained.
        epochs: Number, mean loss in training, and loss of the artifact of each.
        best: The number of the one that was kept.
        drift: What the artifact's answers are, in words, with their metrics by output.
        paste: Lines for the project file.
    """
    heading(console, "finetune", title)
    console.print()
    right = "right"
    table = simple_table(("epoch", right), ("loss in training", right), ("of the artifact", right), ("", "left"))
    for number, trained, judged in epochs:
        kept = "kept" if number == best else ""
        table.add_row(str(number), "" if trained is None else numbers.small(trained), numbers.small(judged), kept)
    console.print(indented(table))
    console.print()
    console.print(indented(_drift(drift)))
    if not best:
        console.print(indented(Text("No epoch was better than the network as it was: nothing was written.", "yellow")))
    if paste:
        console.print(indented(Text("For edgekit.toml, so that builds take the trained network as it is:")))
        for line in paste:
            console.print(Text(f"    {line}"), soft_wrap=True)


def _drift(drift: tuple[tuple[str, dict[str, Metrics]], ...]) -> Any:
    rows = [(name, output, metrics) for name, each in drift for output, metrics in each.items()]
    columns = [column for column in COLUMNS if any(column.cell(metrics) for *_, metrics in rows)]
    columns = sorted(columns, key=lambda one: -one.keep)[:5]
    several = len({output for _, output, _ in rows}) > 1
    heads = [("artifact", "left"), *([("output", "left")] if several else [])]
    table = simple_table(*heads, *((column.title, "right") for column in columns))
    for name, output, metrics in rows:
        table.add_row(name, *([output] if several else []), *(column.cell(metrics) for column in columns))
    return table

"""The layers that stay float: which, what each cost and bought, and the lines that need no search."""

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.manifest import Manifest
from edgekit.model.layers import FallbackReport
from edgekit.render.layout import heading, indented, simple_table


def show_float_layers(console: Console, manifest: Manifest) -> None:
    """Print the layers that the settings or fallback keep in float; nothing if there are none."""
    if manifest.fallback is not None:
        console.print()
        _show_fallback(console, manifest.fallback)
    elif manifest.float_layers:
        line = Text.assemble(("kept in float: ", "yellow"), numbers.shortened(manifest.float_layers))
        console.print(indented(line))


def _show_fallback(console: Console, report: FallbackReport) -> None:
    share, limit = numbers.percent(report.float_share), numbers.percent(report.float_limit)
    heading(console, "fallback", f"{share} % of the weights stay float, {limit} % may, {report.attempts} attempts")
    console.print()
    if report.kept:
        right = "right"
        table = simple_table(
            ("kept in float", "left"), ("kind", "left"), ("weights", right), ("more kB", right), ("gain dB", right),
            ("SQNR dB", right),
        )  # fmt: skip
        for one in report.kept:
            layer = one.layer
            cells = f"{layer.weights:,}", f"{layer.extra_bytes / 1000:,.1f}", _ratio(one.gain_db), _ratio(one.sqnr_db)
            table.add_row(Text(layer.path), Text(layer.kind), *map(Text, cells))
        console.print(indented(table))
        before = _ratio(report.all_int8_sqnr_db)
        console.print(indented(Text(f"In simulation, from {before} dB with all layers in int8.", "dim")))
    console.print(indented(Text(verdict.of_fallback(report))))
    if report.paste:
        console.print(indented(Text("For [quantize] in edgekit.toml, so that the next build needs no search:")))
        for line in report.paste:
            console.print(Text(f"    {line}"), soft_wrap=True)


def _ratio(value: float | None) -> str:
    return "identical" if value is None else f"{value:.2f}"

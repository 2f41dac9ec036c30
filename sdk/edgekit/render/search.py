"""The curve of drift against cost: a table, a drawing, and the lines to paste."""

import math
from xml.sax.saxutils import escape

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.model.curve import Curve, Point
from edgekit.render.drift import COLUMNS
from edgekit.render.layout import heading, indented, simple_table

_WIDTH, _HEIGHT, _MARGIN = 640, 360, 60
_COLOURS = ("#2563eb", "#c2410c", "#15803d")


def show_curve(console: Console, curve: Curve, chosen: Point | None, drawing: str | None) -> None:
    """Print the points of a curve, and the lines that build one of them.

    Args:
        console: Where to.
        curve: The curve.
        chosen: The point that was asked for; None prints the lines of each.
        drawing: The file that it was drawn into.
    """
    heading(console, "search", f"{curve.model} for {curve.target}, {curve.tried} points measured")
    console.print()
    measured = [one for point in curve.points for one in point.metrics.values()]
    columns = sorted((c for c in COLUMNS if any(c.cell(one) for one in measured)), key=lambda one: -one.keep)[:2]
    timed = any(point.latency_ms is not None for point in curve.points)
    right = "right"
    table = simple_table(
        ("", right), ("file", "left"), ("in float", right), ("kB", right),
        *([("ms", right)] if timed else []), *((one.title, right) for one in columns),
    )  # fmt: skip
    for number, point in enumerate(curve.points, start=1):
        worst = min(point.metrics.values(), key=lambda one: math.inf if one.sqnr_db is None else one.sqnr_db)
        table.add_row(
            f"{number}*" if point == chosen else str(number),
            f".{point.format} {point.scheme}",
            str(len(point.float_layers)),
            f"{point.bytes / 1000:,.1f}",
            *([f"{point.latency_ms:.3f}" if point.latency_ms is not None else ""] if timed else []),
            *(one.cell(worst) for one in columns),
        )
    console.print(indented(table))
    console.print(indented(Text(f"Drift from the float model on {curve.samples} evaluation samples.", "dim")))
    for line in curve.dropped:
        console.print(indented(Text(f"not built: {line}", "dim")))
    for number, point in enumerate(curve.points, start=1):
        if chosen in (None, point):
            console.print()
            console.print(indented(Text(f"Point {number}, for edgekit.toml:")))
            for line in point.paste:
                console.print(Text(f"    {line}"), soft_wrap=True)
    if drawing is not None:
        console.print()
        console.print(indented(Text(drawing, "dim")))


def drawn(curve: Curve, chosen: Point | None) -> str:
    """Return the curve as an SVG: bytes to the right, SQNR upwards, a line for each format."""
    finite = [point.sqnr_db for point in curve.points if math.isfinite(point.sqnr_db)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    top = high + max(1.0, 0.1 * (high - low))  # where identical answers stand
    sizes = [math.log10(point.bytes) for point in curve.points]
    left, right = min(sizes), max(sizes)

    def place(point: Point) -> tuple[float, float]:
        across = (math.log10(point.bytes) - left) / ((right - left) or 1.0)
        up = (min(point.sqnr_db, top) - low) / ((top - low) or 1.0)
        return _MARGIN + across * (_WIDTH - 2 * _MARGIN), _HEIGHT - _MARGIN - up * (_HEIGHT - 2 * _MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img">',
        f"<title>{escape(curve.model)}: drift against bytes</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 16}" text-anchor="middle">bytes of the file (log)</text>',
        f'<text x="16" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {_HEIGHT / 2})">SQNR, dB</text>',
    ]
    for number, format in enumerate(dict.fromkeys(point.format for point in curve.points)):
        colour = _COLOURS[number % len(_COLOURS)]
        own = [point for point in curve.points if point.format is format]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, own))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{24 + 16 * number}" fill="{colour}">.{format}</text>')
        for point in own:
            x, y = place(point)
            kept = f", {len(point.float_layers)} in float" if point.float_layers else ""
            label = f"{point.scheme}{kept}: {numbers.kilobytes(point.bytes)}, {point.sqnr_db:.1f} dB"
            size = 7 if point == chosen else 4
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}">')
            parts.append(f"<title>{escape(label)}</title></circle>")
    return "\n".join([*parts, "</svg>", ""])

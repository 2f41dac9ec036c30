"""The curve of drift against cost: a table, a drawing, and the lines to paste."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.model.curve import Curve, Point
from edgekit.render.drift import COLUMNS
from edgekit.render.layout import heading, indented, simple_table

_WIDTH, _HEIGHT, _MARGIN = 720, 400, 84
# What float rounding leaves is no more than that to a reader.
_MOST_DB = 80
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
    plane = _Plane.of(curve.points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="11" role="img">',
        f"<title>{escape(curve.model)}: drift against bytes</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *plane.axes(),
    ]
    for number, format in enumerate(dict.fromkeys(point.format for point in curve.points)):
        colour = _COLOURS[number % len(_COLOURS)]
        own = [point for point in curve.points if point.format is format]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(plane.place, own))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts.append(f'<text x="{_MARGIN + 10}" y="{24 + 16 * number}" fill="{colour}">.{format}</text>')
        for point in own:
            x, y = plane.place(point)
            kept = f", {len(point.float_layers)} in float" if point.float_layers else ""
            label = f"{point.scheme}{kept}: {numbers.kilobytes(point.bytes)}, {point.sqnr_db:.1f} dB"
            size = 7 if point == chosen else 4
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}">')
            parts.append(f"<title>{escape(label)}</title></circle>")
            parts.append(
                f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle" fill="{colour}">{point.scheme}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, kw_only=True)
class _Plane:
    """Where points stand: the logarithm of bytes, and decibels up to those that float rounding leaves."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def of(cls, points: Sequence[Point]) -> "_Plane":
        """Return what holds all points."""
        sizes = [math.log10(point.bytes) for point in points]
        ratios = [min(point.sqnr_db, _MOST_DB) for point in points]
        low, high = min(ratios), max(ratios)
        return cls(left=min(sizes), right=max(sizes), low=math.floor(low / 10) * 10, high=math.ceil(high / 10) * 10)

    def place(self, point: Point) -> tuple[float, float]:
        """Return where a point stands."""
        return self._across(math.log10(point.bytes)), self._up(min(point.sqnr_db, _MOST_DB))

    def axes(self) -> Iterator[str]:
        """Yield lines and numbers."""
        step = 10 * max(1, round((self.high - self.low) / 60))
        for ratio in range(int(self.low), int(self.high) + 1, step):
            y, text = self._up(ratio), f"{ratio} and more" if ratio == _MOST_DB else str(ratio)
            yield f'<path d="M{_MARGIN} {y:.1f}H{_WIDTH - _MARGIN}" stroke="#e5e7eb"/>'
            yield f'<text x="{_MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        for share in (0, 0.5, 1):
            size = self.left + share * (self.right - self.left)
            where = f'x="{self._across(size):.1f}" y="{_HEIGHT - _MARGIN + 18}" text-anchor="middle"'
            yield f"<text {where}>{numbers.kilobytes(round(10**size))}</text>"
        yield f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 16}" text-anchor="middle">size of the file (log)</text>'
        middle = _HEIGHT / 2
        yield f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">SQNR, dB</text>'

    def _across(self, size: float) -> float:
        return _MARGIN + (size - self.left) / ((self.right - self.left) or 1.0) * (_WIDTH - 2 * _MARGIN)

    def _up(self, ratio: float) -> float:
        return _HEIGHT - _MARGIN - (ratio - self.low) / ((self.high - self.low) or 1.0) * (_HEIGHT - 2 * _MARGIN)

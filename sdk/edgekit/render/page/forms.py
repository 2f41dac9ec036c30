"""How each kind of value looks on a page: the one way from a JSON value to its text."""

from collections.abc import Callable
from typing import Literal, assert_never, get_args

from markupsafe import Markup
from pydantic import JsonValue

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.render import summary
from edgekit.render.page.traced import Traced

Number = Literal[
    "whole", "db", "figure", "gain", "small", "number", "percent", "percent0", "cosine", "bytes", "ms", "seconds"
]
Word = Literal["text", "digest", "many", "key", "rank"]
Form = Number | Word
Pair = Literal["share", "change", "times", "points", "difference"]
FORMS: tuple[Form, ...] = (*get_args(Number), *get_args(Word))
PAIRS: tuple[Pair, ...] = get_args(Pair)

_NUMBERS: dict[Number, Callable[[float], str]] = {
    "whole": lambda value: f"{value:,.0f}",
    "db": lambda value: f"{value:.2f}",
    "figure": numbers.figure,
    "gain": lambda value: f"{value:+.2f}",
    "small": numbers.small,
    "number": verdict.number,
    "percent": lambda value: f"{numbers.percent(value, 2)} %",
    "percent0": lambda value: f"{numbers.percent(value, 0)} %",
    "cosine": numbers.cosine,
    "bytes": lambda value: numbers.kilobytes(int(value)),
    "ms": lambda value: f"{value:.3f} ms" if value < 10 else f"{value:,.1f} ms",
    "seconds": lambda value: f"{value:,.0f} s",
}
# What null means in these; in all others it is a fault.
_NULL: dict[Form, str] = {"db": "identical", "number": "identical", "gain": "all", "text": "none"}


def text_of(form: Form, value: JsonValue, key: str = "") -> str:
    """Return the text of one value.

    Args:
        form: How to show it.
        value: The value.
        key: Its name or number among its siblings, for the forms ``key`` and ``rank``.

    Raises:
        TypeError: If the value has no such form.
    """
    if value is None and form in _NULL:
        return _NULL[form]
    match form:
        case "text":
            return str(value)
        case "digest":
            return str(value)[:12]
        case "many":
            return f"{_length(value):,}"
        case "key":
            return key
        case "rank":
            return str(int(key) + 1)
        case _:
            return _NUMBERS[form](_number(value))


def text_of_pair(pair: Pair, value: JsonValue, base: JsonValue) -> str:
    """Return the text of what one value is against another."""
    one, other = _number(value), _number(base)
    match pair:
        case "share":
            return f"{_share(one / other)} %" if other else ""
        case "change":
            return f"{100 * (one - other) / other:+.1f} %" if other else ""
        case "times":
            return f"{one / other:.1f}x" if other else ""
        case "points":
            return summary.points(one - other)
        case "difference":
            return summary.difference(one - other)
        case _:
            assert_never(pair)


def _share(share: float) -> str:
    """Return a share in per cent; only what is nothing is shown as 0."""
    return "under 0.1" if 0 < share < 0.0005 else numbers.percent(share)


def show(value: Traced, form: Form) -> Markup:
    """Return the element of one value: its text, where it stands, and what it is sorted by."""
    shown = text_of(form, value.raw, value.key)
    return Markup('<data value="{}" data-path="{}" data-form="{}">{}</data>').format(
        "" if form == "text" else _sorted_by(value.raw), value.pointer, form, shown
    )


def show_pair(value: Traced, base: Traced, pair: Pair) -> Markup:
    """Return the element of what one value is against another."""
    shown = text_of_pair(pair, value.raw, base.raw)
    ratio = _number(value.raw) / _number(base.raw) if base.raw else ""
    return Markup('<data value="{}" data-path="{}" data-base="{}" data-form="{}">{}</data>').format(
        ratio, value.pointer, base.pointer, pair, shown
    )


def _sorted_by(value: JsonValue) -> str | float:
    match value:
        case None:
            return "Infinity"  # the ratio of what does not differ
        case bool() | str():
            return str(value)
        case int() | float():
            return value
        case list():
            return len(value)
        case dict():
            return ""


def _length(value: JsonValue) -> int:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return len(value)


def _number(value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value

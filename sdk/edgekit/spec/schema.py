"""Read TOML into the models of ``spec``, and tell a person every fault at once, each with its key and the nearest name.

A fault is one line such as ``budget.total.min_sqnr: unknown key; did you mean min_sqnr_db?``.
"""

import difflib
import json
import math
import tomllib
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from edgekit.errors import EdgeKitError

M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]


def parse_toml(text: str, model: type[M], *, where: str, error: type[EdgeKitError], hint: str = "") -> M:
    """Parse TOML and validate it.

    Args:
        text: The TOML text.
        model: What it must obey.
        where: The name of the file, for messages.
        error: The class to raise.
        hint: The way out, for the error.

    Raises:
        EdgeKitError: Of the class ``error``, with all faults, one a line.
    """
    value, faults = check(parse_table(text, where=where, error=error), model)
    if value is None:
        raise error(report(where, faults), hint=hint)
    return value


def parse_table(text: str, *, where: str, error: type[EdgeKitError]) -> dict[str, Any]:
    """Parse TOML into plain values; a syntax error raises ``error`` with its line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise error(f"{where} is not TOML: {fault}", hint="See https://toml.io for the syntax.") from fault


def check(data: dict[str, Any], model: type[M]) -> tuple[M | None, list[str]]:
    """Validate plain values; return the model, or None and the faults."""
    faults = [f"{place}: must be a finite number" for place in _not_finite(data)]
    if faults:
        return None, faults
    try:
        # By way of JSON, strict mode takes lists for tuples and strings for enum members, and still no "1" for 1.
        return model.model_validate_json(json.dumps(data, default=str)), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines: dict[str, list[str]] = {}
        for fault in found:
            if fault["type"] == "too_short" and any(_is_inside(other["loc"], fault["loc"]) for other in found):
                continue  # pydantic does not count items that are wrong themselves
            place, reason = _explain(fault["type"], fault["msg"], fault["loc"], data, model)
            reasons = lines.setdefault(place, [])
            if reason not in reasons:
                reasons.append(reason)
        # Of a table that is wrong inside nobody wants to hear that it is no number.
        inner = {place for place in lines if any(other.startswith(f"{place}.") for other in lines)}
        return None, [f"{place}: {' or '.join(reasons)}" for place, reasons in lines.items() if place not in inner]


def report(where: str, faults: Iterable[str]) -> str:
    """Return the message for the faults of a file."""
    return f"{where} is wrong:\n" + "\n".join(f"  - {fault}" for fault in faults)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean NEAREST?`` or, where nothing is near, nothing."""
    nearest = difflib.get_close_matches(name, tuple(known), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _is_inside(location: Location, outer: Location) -> bool:
    return len(location) > len(outer) and location[: len(outer)] == outer


def _explain(kind: str, message: str, location: Location, data: Any, model: type[BaseModel]) -> tuple[str, str]:
    path: list[int | str] = []
    for number, part in enumerate(location):
        # Between the parts of a value's own path pydantic puts the members of unions that it tried.
        inside = isinstance(data, dict | list) and (part in data if isinstance(data, dict) else isinstance(part, int))
        if not inside and (kind != "missing" or number < len(location) - 1):
            continue
        path.append(part)
        data = data[part] if inside else None
    place = _dotted(path) or "(top level)"
    if kind == "missing":
        return place, "missing"
    if kind == "extra_forbidden":
        known = tuple(_keys(model, path[:-1]))
        return place, "unknown key" + (did_you_mean(str(path[-1]), known) or f" (known: {', '.join(known)})")
    if isinstance(data, str | int | float | bool):
        place = f"{place} = {json.dumps(data)}"
    return place, message.removeprefix("Value error, ").removeprefix("Input ").replace("should", "must", 1)


def _dotted(path: list[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _keys(model: type[BaseModel], path: list[int | str]) -> Iterable[str]:
    """Return the names of the fields at a place in a model."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:  # else a key that a person chose, in a table of tables
            inner = _model_in(model.model_fields[part].annotation)
            if inner is None:
                return ()
            model = inner
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside ``X``, ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((inner for inner in found if inner is not None), None)


def _not_finite(data: Any, place: str = "") -> Iterable[str]:
    match data:
        case dict():
            for key, value in data.items():
                yield from _not_finite(value, f"{place}.{key}" if place else key)
        case list():
            for index, value in enumerate(data):
                yield from _not_finite(value, f"{place}[{index}]")
        case float() if not math.isfinite(data):
            yield place

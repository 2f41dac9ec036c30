"""Which argument of the constructor another model was made with, told from the shapes that differ."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edgekit.model.weights.fit import Fit
from edgekit.model.weights.state import State

_TRIES = 12
_FACTORS = (1, 2, 3, 4, 6, 8)


def parameters_of(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a function's parameters have in a call, of those that can be named in one."""
    found = {}
    for name, parameter in _parameters(function).items():
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            value = arguments.get(name, parameter.default)
            if value is not parameter.empty:
                found[name] = value
    return found


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of a name."""
    parameter = _parameters(function).get(name)
    return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def changed_arguments(
    fit: Fit,
    state: State,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    fits: Callable[[dict[str, Any]], Fit | None],
) -> dict[str, Any]:
    """Return the arguments to change so that the model fits the file; empty where none were found.

    Args:
        fit: How the model fits that was made with `arguments`.
        state: What the file holds.
        function: What makes the model.
        arguments: What it was called with.
        fits: Makes a model with other arguments and returns how it fits; None: it cannot be made.
    """
    values = {
        name: value
        for name, value in parameters_of(function, arguments).items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    changes: dict[str, Any] = {}
    best, tries = fit, 0
    while best.faults and tries < _TRIES:
        better = None
        for name, value in _candidates(best, state, {key: one for key, one in values.items() if key not in changes}):
            tries += 1
            found = fits({**changes, name: value})
            if found is not None and found.faults < best.faults:
                better = (name, value, found)
            if tries == _TRIES or (found is not None and not found.faults):
                break
        if better is None:
            break
        changes[better[0]], best = better[1], better[2]
    return changes if not best.faults else {}


def _candidates(fit: Fit, state: State, values: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield values of parameters that would explain sizes that differ, those first that explain most."""
    pairs: Counter[tuple[int, int]] = Counter()
    for in_file, in_model in fit.wrong.values():
        if len(in_file) == len(in_model):
            pairs.update({(old, new) for new, old in zip(in_file, in_model, strict=True) if new != old})
    found: Counter[tuple[str, int]] = Counter()
    for (old, new), count in pairs.items():
        for name, value in values.items():
            for factor in _FACTORS:
                if old == value * factor and new % factor == 0 and new:
                    found[name, new // factor] += 2 * count if factor == 1 else count
    # As many modules in a row as an argument says: layers.0 to layers.5.
    counts = Counter(dict.fromkeys(_depths(fit, state, values), 1))
    yield from (pair for pair, _ in (found + counts).most_common())


def _depths(fit: Fit, state: State, values: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    rows: dict[str, set[int]] = {}
    for name in (*state.tensors, *fit.missing):
        for match in re.finditer(r"(?:^|\.)(\d{1,4})\.", name):
            rows.setdefault(name[: match.start(1)], set()).add(int(match[1]))
    odd = {*fit.missing, *fit.unexpected}
    for start, numbers in rows.items():
        apart = {
            int(name[len(start) :].partition(".")[0]) for name in odd if re.match(re.escape(start) + r"\d{1,4}\.", name)
        }
        if not apart:
            continue
        lacking = {
            int(name[len(start) :].partition(".")[0])
            for name in fit.missing
            if re.match(re.escape(start) + r"\d{1,4}\.", name)
        }
        in_file = len(numbers - lacking)
        in_model = len(numbers - (apart - lacking))
        yield from ((name, in_file) for name, value in values.items() if value == in_model and in_file)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}

"""What a model returns, flattened: names and tensors, whatever containers hold them."""

import dataclasses
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from edgekit.errors import SourceError


def flattened(name: str, result: object) -> list[tuple[str, Tensor]]:
    """Return the tensors that a model returned, in order, with the path of each in its containers.

    Mappings, named tuples and dataclasses give names, sequences numbers; None is left out. A tensor by itself has the
    empty path.

    Args:
        name: The model's name, for messages.
        result: What ``forward`` returned.

    Raises:
        SourceError: If something else than tensors is among it, or nothing.
    """
    found = []
    for path, value in _leaves((), result):
        label = "_".join(path)
        if not isinstance(value, Tensor):
            what = label or "what forward returns"
            raise SourceError(f"{name}: {what} is a {type(value).__name__}, no tensor.", hint="Return tensors alone.")
        found.append((label, value))
    if not found:
        raise SourceError(f"{name} returns nothing: no tensor is in it.", hint="Return tensors.")
    return found


def is_named(result: object) -> bool:
    """Whether the model itself names what it returns."""
    return isinstance(result, Mapping) or _is_dataclass(result) or hasattr(result, "_fields")


def identifiers(labels: Iterable[str], taken: Iterable[str]) -> tuple[str, ...]:
    """Return names for outputs: letters, digits and underscores, each of them once and none of those that are taken."""
    reserved = set(taken)
    used, names = set(reserved), []
    for label in labels:
        base = re.sub(r"\W", "_", label, flags=re.ASCII)
        base = f"_{base}" if not base or base[0].isdigit() else base
        base = f"{base}_out" if base in reserved else base
        name, count = base, 1
        while name in used:
            name, count = f"{base}_{count}", count + 1
        used.add(name)
        names.append(name)
    return tuple(names)


def is_identifier(name: object) -> bool:
    """Whether a name is one that artifacts and apps can carry."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def placeholder(name: str, taken: Iterable[str] = ()) -> str:
    """Return the nearest name that fx keeps as it is: it renames what Python means something by."""
    used = set(taken)
    while keyword.iskeyword(name) or not _kept_by_fx(name) or name in used:
        name += "_"
    return name


def _kept_by_fx(name: str) -> bool:
    from torch.fx.graph import _Namespace

    return bool(_Namespace().create_name(name, None) == name)


def _leaves(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    if value is None:
        return
    parts: Iterable[tuple[object, object]]
    match value:
        case Mapping():
            parts = value.items()
        case tuple() if hasattr(value, "_fields"):
            parts = zip(value._fields, value, strict=True)
        case tuple() | list():
            parts = enumerate(value)
        case _ if _is_dataclass(value):
            fields: Any = dataclasses.fields(value)  # type: ignore[arg-type]
            parts = ((field.name, getattr(value, field.name)) for field in fields)
        case _:
            yield path, value
            return
    for key, part in parts:
        yield from _leaves((*path, str(key)), part)


def _is_dataclass(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)

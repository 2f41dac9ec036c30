"""Arguments of the Python API, checked before any work: a wrong one is named with what it must be."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from edgekit.base.sizes import bytes_of
from edgekit.base.values import LEAST_MEMORY
from edgekit.errors import ProjectError
from edgekit.spec.dimensions import BATCH, Dimension, Sizes
from edgekit.spec.schema import M, check, did_you_mean, report
from edgekit.spec.target import Format

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_NAME = 100


def typed(argument: str, value: Any, kind: Any, what: str, *, optional: bool = False) -> Any:
    """Return a value that is of a type, or None where that is allowed.

    Args:
        argument: The name of the argument.
        value: What was given.
        kind: The type.
        what: The type in words.
        optional: Whether None will do.

    Raises:
        ProjectError: If it is of another type.
    """
    if (value is None and optional) or isinstance(value, kind):
        return value
    raise ProjectError(f"{argument} is a {type(value).__name__}.", hint=f"It takes {what}.")


def spec(argument: str, value: Any, kind: type[M], what: str) -> M | None:
    """Return settings that were given as their class, or as a mapping with the keys of a project file; None as it is.

    Raises:
        ProjectError: If it is neither, with every fault of the mapping.
    """
    if isinstance(value, Mapping):
        settings, faults = check({str(key): one for key, one in value.items()}, kind)
        if settings is None:
            raise ProjectError(report(argument, faults), hint="The keys are those of edgekit.toml: docs/project.md.")
        return settings
    found: M | None = typed(argument, value, kind, f"{what}, or a mapping with its keys", optional=True)
    return found


def texts(argument: str, value: Any) -> tuple[str, ...]:
    """Return a sequence of texts; a text by itself is none, for its letters would be taken one by one.

    Raises:
        ProjectError: If it is anything else.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ProjectError(f"{argument} is {value!r}, no sequence.", hint="It takes a sequence of strings.")
    if strange := [one for one in value if not isinstance(one, str)]:
        raise ProjectError(f"{argument} has {strange[0]!r}.", hint="It takes a sequence of strings.")
    return tuple(value)


def model_name(given: Any, kind: str) -> str:
    """Return a model's name, which is the name of its folder, too; by default the name of its class.

    Raises:
        ProjectError: If it could be no folder's name everywhere.
    """
    if given is None:
        return re.sub(r"^[^a-z0-9]+|[^a-z0-9._-]", "", kind.lower())[:_LONGEST_NAME] or "model"
    if isinstance(given, str) and _NAME.fullmatch(given) and len(given) <= _LONGEST_NAME:
        return given
    plain = re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]+$", "", re.sub(r"[^A-Za-z0-9._-]+", "-", str(given)))
    raise ProjectError(
        f"name is {given!r}, and bundles are put in a folder of that name.",
        hint=f"Letters, digits, dots, dashes and underscores, {_LONGEST_NAME} at most"
        + (f": {plain[:_LONGEST_NAME]}" if plain else ""),
    )


def formats_of(names: Any) -> tuple[Format, ...]:
    """Return formats by name.

    Raises:
        ProjectError: If there is none of a name.
    """
    known = tuple(map(str, Format))
    wanted = (names,) if isinstance(names, str) else texts("formats", names)  # a text is one format
    if unknown := [name for name in wanted if name not in known]:
        raise ProjectError(
            f"There is no format {', '.join(unknown)}{did_you_mean(unknown[0], known)}",
            hint=f"formats= takes one, or a sequence, of {', '.join(known)}.",
        )
    return tuple(map(Format, wanted))


def memory_of(given: Any) -> int:
    """Return bytes, of a number of them or of a text such as ``4GB``.

    Raises:
        ProjectError: If it is neither, or so little that another unit was meant.
    """
    found = bytes_of(given) if isinstance(given, str) else given
    if isinstance(found, bool) or not isinstance(found, int) or found < LEAST_MEMORY:
        raise ProjectError(
            f"memory is {given!r}.", hint=f'It takes bytes, {LEAST_MEMORY} or more, or a text such as "4GB".'
        )
    return found


def sizes(max_batch: Any, dimensions: Any) -> dict[str, Sizes]:
    """Return the sizes of every dimension that has one; the batch follows from the example unless it is given.

    Raises:
        ProjectError: If one is no size.
    """
    found: dict[str, Sizes] = {}
    given = {} if dimensions is None else typed("dimensions", dimensions, Mapping, "a mapping by name")
    batch = {} if max_batch is None else {BATCH: max_batch}
    for name, size in {**batch, **given}.items():
        what = "max_batch" if name == BATCH and BATCH not in given else f"dimensions[{name!r}]"
        if isinstance(size, Mapping):
            try:
                size = Dimension(**size)
            except (ValidationError, TypeError) as error:
                reason = (
                    error.errors()[0]["msg"].removeprefix("Value error, ")
                    if isinstance(error, ValidationError)
                    else str(error)
                )
                raise ProjectError(f"{what}: {reason}", hint="For instance {'min': 8, 'max': 512}.") from error
        whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
        if not isinstance(size, Dimension) and not whole:
            raise ProjectError(f"{what} is {size!r}.", hint="It takes a whole number from 1, the largest size.")
        found[name] = size
    return found

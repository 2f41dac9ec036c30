"""The base of everything that stands in a file, and the types of its values."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]


_UNITS = {"MB": 10**6, "MIB": 2**20, "GB": 10**9, "GIB": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def bytes_of(value: object) -> object:
    """Return the number of bytes that a text such as ``4GB`` names; what is no text is returned as it is.

    Raises:
        ValueError: If it names none.
    """
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value)
    if found is None or found[2].upper() not in _UNITS:
        raise ValueError(f'must be a number with a unit, MB, GB, MiB or GiB: "4GB", not "{value}"')
    return int(float(found[1]) * _UNITS[found[2].upper()])


Bytes = Annotated[int, Field(gt=0), BeforeValidator(bytes_of)]


class Spec(BaseModel):
    """Base of everything read from or written to a file: immutable, strict, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

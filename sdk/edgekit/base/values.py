"""The base of everything that stands in a file, and the types of its values."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from edgekit.base.sizes import bytes_of

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
# These are written into files of other languages: Package.swift, Gradle's catalog, shell commands to paste.
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=100)]
Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]


LEAST_MEMORY = 64 * 10**6
"""With less, a number was meant in another unit."""


def parsed_size(value: object) -> object:
    """Return the number of bytes that a text such as ``4GB`` means; what is no text is returned as it is.

    Raises:
        ValueError: If it means none.
    """
    if not isinstance(value, str):
        return value
    found = bytes_of(value)
    if found is None:
        raise ValueError('must be a size: "4GB", "512MB", or a number of bytes')
    return found


MemorySize = Annotated[int, Field(ge=LEAST_MEMORY), BeforeValidator(parsed_size)]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A digest."""
RelativePath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$", max_length=1000)
]
"""A path within a bundle. No part begins with a dot: a bundle names nothing outside its folder."""


class Spec(BaseModel):
    """Base of everything read from or written to a file: immutable, strict, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

"""Dimensions that may vary: how large, how small, and in which steps; and tensors with those filled in that do not."""

from collections.abc import Mapping
from typing import Self

from pydantic import model_validator

from edgekit.base.values import Positive, Spec
from edgekit.spec.tensors import TensorSpec

BATCH = "batch"


class Dimension(Spec):
    """The sizes that a dimension may have: ``{ min = 8, max = 512, multiple = 8 }``, or a number, the largest."""

    min: Positive | None = None
    """Least size; unless given, the least that the exporter takes, mostly 1."""
    max: Positive
    """Largest size: memory is planned for it."""
    multiple: Positive = 1
    """Every size is a multiple of this."""

    @model_validator(mode="after")
    def _sizes_are_possible(self) -> Self:
        if self.min is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is over max {self.max}")
        for name, size in (("min", self.min), ("max", self.max)):
            if size is not None and size % self.multiple:
                raise ValueError(f"{name} {size} is no multiple of {self.multiple}")
        return self

    @property
    def least(self) -> int:
        """The least size."""
        return -(-(self.min or 1) // self.multiple) * self.multiple

    @property
    def told(self) -> "Dimension":
        """The dimension with its least size written out, for readers."""
        return self.from_least(self.least)

    def from_least(self, size: int) -> "Dimension":
        """Return the dimension that begins at a size, or the multiple above it."""
        return self.model_copy(update={"min": -(-size // self.multiple) * self.multiple})

    def nearest(self, size: int) -> int:
        """Return the allowed size that is nearest below, or the least."""
        return max(self.least, min(size, self.max) // self.multiple * self.multiple)


Sizes = int | Dimension


def ranges(dimensions: Mapping[str, Sizes]) -> dict[str, Dimension]:
    """Return dimensions as ranges; a number is the largest size."""
    return {name: Dimension(max=size) if isinstance(size, int) else size for name, size in dimensions.items()}


def fixed(dimensions: Mapping[str, Dimension]) -> dict[str, int]:
    """Return the dimensions that have one size only: no program keeps a symbol for those."""
    return {name: size.max for name, size in dimensions.items() if size.least == size.max}


def filled(specs: tuple[TensorSpec, ...], sizes: Mapping[str, int]) -> tuple[TensorSpec, ...]:
    """Return tensors with sizes in place of the dimensions of these names."""
    return tuple(
        spec.model_copy(
            update={"shape": tuple(sizes.get(size, size) if isinstance(size, str) else size for size in spec.shape)}
        )
        for spec in specs
    )

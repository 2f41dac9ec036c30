"""A state dict as a file describes it: names, shapes and types, and a way to the numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.model.weights.tensors import Tensors


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """A tensor without its numbers."""

    shape: tuple[int, ...]
    dtype: str
    """Torch's name of the type."""
    quantized: bool = False


@dataclass(frozen=True, kw_only=True)
class State:
    """A state dict; the numbers are read when `load` is called."""

    tensors: Mapping[str, Described]
    others: Mapping[str, str]
    """Entries that are no tensors, with what they are."""
    load: Callable[[], "Tensors"]
    """Returns the tensors by name, as views of the mapped file where it can be mapped."""

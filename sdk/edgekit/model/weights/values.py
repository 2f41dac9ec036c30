"""What a pickle of torch says, as values: nothing of it is made, called or imported."""

from dataclasses import dataclass, field
from typing import Any

from edgekit.base.text import line


class PickleError(ValueError):
    """A pickle that is damaged, or beyond what is read."""


@dataclass(frozen=True, slots=True)
class Global:
    """A class or a function that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return printable(f"{self.module}.{self.name}")


@dataclass(slots=True, eq=False)
class Unmade:
    """An object that unpickling would make by a call: what is called, with what, and what it is filled with then."""

    call: Global
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    members: list[Any] = field(default_factory=list)

    @property
    def mapping(self) -> dict[Any, Any]:
        """What it holds by name: attributes and items."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2:  # the dictionary and the slots
            state = {key: value for part in state if isinstance(part, dict) for key, value in part.items()}
        return {**(state if isinstance(state, dict) else {}), **self.items}


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers that lie in a file under a key."""

    dtype: str
    """Torch's name of the type; ``"bytes"`` where each tensor says it."""
    key: str
    numel: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as a view of a storage; sizes and strides in elements."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    quantized: bool = False


@dataclass(frozen=True, slots=True)
class StoredArray:
    """A NumPy array that lies in the pickle itself, in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def printable(text: str, most: int = 100) -> str:
    """Return a text from a file as it can stand in a message: without control characters, and not too long."""
    shown = line(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."

"""A TorchScript method as plain values: steps with names of registers, which a module carries out in order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.errors import EdgeKitError


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation: what it reads, what it writes, and the blocks in it."""

    kind: str
    """The operation in TorchScript's words: ``aten::conv2d``, ``prim::If``."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    place: str
    """File, line and text of the user's code."""
    run: Callable[..., Any] | None = None
    """What computes it, of the values it reads; None for control flow and what concerns modules."""
    path: str = ""
    """The module below, or the attribute, that it means."""
    method: str = ""
    """The method that is called."""
    blocks: tuple["Block", ...] = ()

    def __deepcopy__(self, memo: object) -> "Step":
        """A step never changes: copies of a module share it."""
        return self


@dataclass(frozen=True, kw_only=True)
class Block:
    """Steps in order, with the registers that they start from and what they leave."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    steps: tuple[Step, ...]

    def __deepcopy__(self, memo: object) -> "Block":
        """A block never changes."""
        return self


class ScriptError(RuntimeError):
    """A step failed; the message has the line of the user's code."""


def told(step: Step, error: Exception) -> Exception:
    """Return an error with the place in the user's code; one that has it already is returned as it is."""
    if isinstance(error, ScriptError | EdgeKitError):
        return error
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ScriptError(f"{reason} ({step.kind}, {step.place})")

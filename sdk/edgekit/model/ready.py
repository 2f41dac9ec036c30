"""What was read or made of a project's model already, handed on so that nothing is done twice. Needs no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.model.weights.checkpoint import Checkpoint

if TYPE_CHECKING:
    from edgekit.model.programs.program import Program
    from edgekit.model.weights.into import Loaded


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What there is; None: it must be read, or made."""

    checkpoint: Checkpoint | None = None
    """The file of the weights, followed."""
    loaded: "Loaded | None" = None
    """The model that the Python file makes, with these weights."""
    program: "Program | None" = None
    """The model that is no Python file of the project's."""

"""What is known of an artifact on the chip that it is made for, or on what stands in for that chip here."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from edgekit.base.values import RelativePath, Sha256, Spec


class Executed(StrEnum):
    """What computed the answers that an artifact is judged by."""

    HOST = "on this host"
    """The runtime of the device itself, on this machine."""
    SIMULATED = "simulated"
    """The chip's own library, or a reference model of it, on this machine's processor: no silicon of its kind."""
    NOT_EXECUTED = "not executed"
    """Nothing here runs the file: the quantized program stands in for it."""


class Beside(Spec):
    """A file beside the artifact."""

    file: RelativePath
    """Path within the bundle."""
    sha256: Sha256
    """Digest of the file."""
    bytes: Annotated[int, Field(ge=0)]
    """Size of the file."""


class Compiled(Beside):
    """A file that was compiled for one chip ahead of time, beside the artifact."""

    soc: str
    """The chip that it is for."""


class OnChip(Spec):
    """Where an artifact was executed, and what was seen of it there."""

    chip: str
    """The chip."""
    executed: Executed
    """What computed the answers."""
    library: str
    """The library that did, with its version; of what was not executed, the reason."""
    samples: Annotated[int, Field(ge=0)]
    """How many of the evaluation samples were run, from the first on."""
    elsewhere: tuple[str, ...] = ()
    """Operations that the chip leaves to another processor, or computes in float."""
    figures: dict[str, float] = Field(default_factory=dict)
    """What the chip's compiler says, by the name of a figure with its unit: ``cycles``, ``sram_bytes``."""
    compiled: tuple[Compiled, ...] = ()
    """Files compiled ahead of time."""
    page: tuple[Beside, ...] = ()
    """The page that loads the artifact in a browser."""

    @property
    def beside(self) -> tuple[Beside, ...]:
        """All files of the bundle that are the chip's."""
        return (*self.compiled, *self.page)

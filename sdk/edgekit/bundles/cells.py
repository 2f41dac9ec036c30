"""What came of the cells of a sweep: each is one build, of one project for one target by one scheme and settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from edgekit.base.values import Name, Sha256, Spec
from edgekit.bundles.entry import Entry


class CellName(Spec):
    """What a person calls a cell."""

    model: Name
    """The project's model."""
    target: Name
    """The target."""
    scheme: str
    """The scheme, or ``project``."""
    settings: Name
    """The table of settings, or ``project``."""

    def __str__(self) -> str:
        return f"{self.model}/{self.target}/{self.scheme}/{self.settings}"


class Result(Spec):
    """What is stored of a cell that was done: its verdict, its row of the scorecard, and where its files are."""

    version: Literal[1] = 1
    key: Sha256
    """The cell's key."""
    name: CellName
    """What it was called when it was done."""
    verdict: Literal["passed", "failed", "refused"]
    """Whether drift and sizes are within their limits; ``refused``: EdgeKit cannot build this, and says why."""
    error: str = ""
    """Why it was refused."""
    hint: str = ""
    """The way out."""
    blobs: dict[str, str] = Field(default_factory=dict)
    """The blobs by what they are: ``bundle.zip``, ``report.json``, ``report.html``. Machines of a kind make the same
    ones; all else here differs."""
    entries: tuple[Entry, ...] = ()
    """One for each artifact, for the scorecard."""
    float_layers: tuple[str, ...] = ()
    """Layers that the settings or fallback keep in float."""
    seconds: float
    """How long it took, without the start of the worker."""
    cpu_seconds: float
    """Processor time that it took, of all threads."""
    peak_bytes: int | None
    """The most memory that the worker held meanwhile; null: this system does not say."""
    stored_bytes: int
    """Bytes of its blobs."""
    host: str
    """Where it was done."""
    finished: float
    """When, in seconds since the epoch."""


class Failure(Spec):
    """What is stored of a cell that could not be done. It is no result: the next sweep tries again."""

    version: Literal[1] = 1
    key: Sha256
    """The cell's key."""
    name: CellName
    """What it is called."""
    reason: str
    """Why, in words."""
    hint: str = ""
    """The way out."""
    log: str = ""
    """The end of what was printed."""
    again: bool = False
    """Whether another attempt may end otherwise."""
    attempts: int = 1
    """How many there were."""
    host: str = ""
    """Where the last one was."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What came of a sweep."""

    cells: tuple[tuple[CellName, str], ...]
    """All cells that were asked for and can be, with their keys; those of the same content have the same one."""
    left_out: Mapping[str, str]
    """The names of those that cannot be, with the reason."""
    results: Mapping[str, Result]
    """By key."""
    failures: Mapping[str, Failure]
    """By key."""
    stored_before: int
    """How many results the store had before."""
    lost: int
    """How many attempts ended without an answer."""
    seconds: float
    """How long it took."""
    where: str
    """What it ran on."""

    @property
    def passed(self) -> bool:
        """Whether no cell failed, and none is over its budget."""
        return not self.failures and not any(one.verdict == "failed" for one in self.results.values())

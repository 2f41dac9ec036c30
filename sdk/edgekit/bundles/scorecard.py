"""The scorecard: what the cells of a sweep are worth, and what became worse since an earlier one. Values only."""

from typing import Literal

from pydantic import Field

from edgekit.base.values import Name, Spec
from edgekit.bundles.cells import CellName
from edgekit.bundles.entry import Entry
from edgekit.drift.statistics import Interval

Verdict = Literal["passed", "failed", "refused", "missing"]
"""``missing``: the cell has no result, for it failed, or was not run yet."""


class Score(Spec):
    """One cell."""

    name: CellName
    """What it is called."""
    verdict: Verdict
    """Whether it is within its limits."""
    error: str = ""
    """Why it was refused, or why there is no result."""
    page: str | None = None
    """Where the page of its bundle is in the store."""
    entries: tuple[Entry, ...] = ()
    """One for each artifact."""


class Regression(Spec):
    """Something that became worse."""

    name: CellName
    """The cell."""
    artifact: str | None = None
    """The artifact's file."""
    what: str
    """The metric; ``verdict`` or ``size``."""
    old: float | str | None
    """The old value."""
    new: float | str | None
    """The new value."""
    old_interval: Interval | None = None
    """The confidence interval of the old value, if it has one."""
    new_interval: Interval | None = None
    """That of the new value."""
    sureness: float | None
    """How far apart the two intervals are: the difference as a multiple of the halves of both that face each other.
    Over 1 they do not overlap, and less is never listed. Null: the values are exact."""
    others: int = 0
    """How many more metrics of the same artifact became worse."""
    pages: tuple[str | None, str | None] = (None, None)
    """Where the old and the new page are in the store."""


class Release(Spec):
    """One sweep of the store, for the history."""

    tag: Name
    """Its tag."""
    passed: dict[str, int]
    """How many cells passed, by model."""
    cells: dict[str, int]
    """How many there are, by model."""


class Scorecard(Spec):
    """A sweep, held against an earlier one where that was asked for."""

    tag: Name
    """The sweep's tag."""
    since: Name | None = None
    """That of the earlier one."""
    scores: tuple[Score, ...]
    """All cells."""
    regressions: tuple[Regression, ...] = ()
    """The verdicts that fell first, then the metrics, those that are surest first, then sizes."""
    noise: int = 0
    """How many metrics became worse by no more than their intervals."""
    compared: int = 0
    """How many cells both sweeps have a result of."""
    history: tuple[Release, ...] = ()
    """All sweeps of the store, the latest last."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Cells that cannot be, with the reason."""

    def count(self, verdict: Verdict) -> int:
        """Return how many cells have a verdict."""
        return sum(one.verdict == verdict for one in self.scores)

    @property
    def passed(self) -> bool:
        """Whether every cell has a bundle within its limits, or is refused."""
        return not self.count("failed") and not self.count("missing")

"""How long work tells what it is doing. The pipeline speaks, ``render`` decides how it looks."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives the story of a run, one stage at a time."""

    def note(self, text: str) -> None:
        """Say what a person must know before the work begins."""

    def start(self, stage: str, left: float | None = None) -> None:
        """Say that a stage begins; ``left`` is about how many seconds the run still takes, if that is known."""

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Say that a stage ended after ``seconds``; ``detail`` says what came of it."""


class Silent:
    """Says nothing: the default of the Python API."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def start(self, stage: str, left: float | None = None) -> None:
        """Say nothing."""

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Say nothing."""


class Foreseen:
    """Tells about how long a run still takes, by the times of the last one, and hands everything on."""

    def __init__(self, progress: Progress, times: Iterable[tuple[str, float]]) -> None:
        """Take who is told, and the stages of the last run with their seconds, in order."""
        self._progress = progress
        self._ahead = list(times)
        self._took, self._planned = 0.0, 0.0

    def note(self, text: str) -> None:
        """Say what a person must know before the work begins."""
        self._progress.note(text)

    def start(self, stage: str, left: float | None = None) -> None:
        """Say that a stage begins, and how long the run still takes unless that is given."""
        at = next((number for number, (name, _) in enumerate(self._ahead) if name == stage), 0)
        del self._ahead[:at]  # what the last run did before it was not to do this time
        self._progress.start(stage, self._left if left is None else left)

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Say that a stage ended."""
        if self._ahead and self._ahead[0][0] == stage:
            _, planned = self._ahead.pop(0)
            if "from the cache" not in detail:
                self._took, self._planned = self._took + seconds, self._planned + planned
        self._progress.done(stage, seconds, detail)

    @property
    def _left(self) -> float | None:
        if not self._ahead:
            return None
        pace = self._took / self._planned if self._planned else 1.0
        return pace * sum(seconds for _, seconds in self._ahead)


class Outcome(list[str]):
    """What came of a stage, in words, and whether the cache had it."""

    cached = False


class Stages:
    """Times the stages of one run and tells a `Progress` about them."""

    def __init__(self, progress: Progress, plan: Mapping[str, float] | None = None) -> None:
        """Take who is told, and about how many seconds each stage takes, if the time left is to be estimated."""
        self._progress = progress
        self._plan = dict(plan or {})
        self.seconds: list[tuple[str, float]] = []
        self.cached: list[str] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[Outcome]:
        """Time one stage; what the body appends to the outcome is told, and that it came from the cache."""
        detail = Outcome()
        self._progress.start(stage, self.left)
        began = time.perf_counter()
        yield detail
        seconds = time.perf_counter() - began
        self.seconds.append((stage, seconds))
        if detail.cached:
            self.cached.append(stage)
            detail.append("from the cache")
        if left := self.left:
            detail.append(f"about {left:.0f} s left")
        self._progress.done(stage, seconds, ", ".join(detail))

    @property
    def left(self) -> float | None:
        """About how many seconds the run still takes: what is planned, as fast as what is done; None without a plan."""
        if not self._plan:
            return None
        took = {stage: seconds for stage, seconds in self.seconds if stage in self._plan}
        planned = sum(self._plan[stage] for stage in took)
        pace = sum(took.values()) / planned if planned else 1.0
        return pace * sum(seconds for stage, seconds in self._plan.items() if stage not in took)

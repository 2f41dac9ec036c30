"""How long work tells what it is doing. The pipeline speaks, ``render`` decides how it looks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives the story of a run, one stage at a time."""

    def start(self, stage: str) -> None:
        """Say that a stage begins."""

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Say that a stage ended after ``seconds``; ``detail`` says what came of it."""


class Silent:
    """Says nothing: the default of the Python API."""

    def start(self, stage: str) -> None:
        """Say nothing."""

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Say nothing."""


class Outcome(list[str]):
    """What came of a stage, in words, and whether the cache had it."""

    cached = False


class Stages:
    """Times the stages of one run and tells a `Progress` about them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.seconds: list[tuple[str, float]] = []
        self.cached: list[str] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[Outcome]:
        """Time one stage; what the body appends to the outcome is told, and that it came from the cache."""
        detail = Outcome()
        self._progress.start(stage)
        began = time.perf_counter()
        yield detail
        seconds = time.perf_counter() - began
        self.seconds.append((stage, seconds))
        if detail.cached:
            self.cached.append(stage)
            detail.append("from the cache")
        self._progress.done(stage, seconds, ", ".join(detail))

"""What runs cells: one interface, for processes on this machine and for a cluster."""

import os
import sys
from dataclasses import dataclass
from typing import Protocol

from edgekit.pipeline.sweeping.tasks import Outcome, Task

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment(cpus: int) -> dict[str, str]:
    """Return the variables of a worker that computes with so many threads, and imports what this process can."""
    threads = {name: str(cpus) for name in _THREADS}
    return {**threads, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """An attempt that is over."""

    task: Task
    outcome: Outcome | None
    """What the worker answered; None: there is no answer, for the worker is gone."""
    reason: str = ""
    """Why there is none."""
    log: str = ""
    """The end of what the worker printed, where it is known."""


class Engine(Protocol):
    """Runs attempts, and says how each ended. It decides nothing: what is tried again, and when, is for the sweep."""

    @property
    def text(self) -> str:
        """Where cells run, in a few words."""

    @property
    def grace(self) -> float:
        """Seconds beyond its time limit after which an attempt is ended from here; workers end themselves before."""

    def has_room(self, task: Task) -> bool:
        """Whether a task may be started now."""

    def start(self, task: Task) -> None:
        """Start an attempt."""

    def ended(self, seconds: float) -> list[Ended]:
        """Return the attempts that are over, after so many seconds at the most if there is none."""

    def stop(self, task: Task) -> None:
        """End an attempt by force; `ended` tells of it."""

    def close(self) -> None:
        """End all that runs."""

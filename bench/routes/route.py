"""What all routes share: the task they are given and the clock they tell their stages to.

A route is a module with ``build(task, clock)``. It imports what it needs at its top, so that imports are not timed, and
writes its artifacts into ``task.folder``. It needs torch and its own packages alone, no EdgeKit.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

# The batch that programs are traced with: ExecuTorch fixes the range of the batch to 2..15 if it is smaller.
TRACED_BATCH = 16
LARGEST_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a route is to build."""

    model: nn.Module
    """The float model in eval mode, with one input and logits as its output."""
    input: str
    """The name of the input."""
    calibration: npt.NDArray[np.float32]
    """The calibration samples, of shape (samples, ...)."""
    folder: Path
    """Where the artifacts go."""
    variant: str


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Seconds per stage, in the order of the stages."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0) + time.perf_counter() - start


class Builds(Protocol):
    """A module of this package that is a route."""

    def build(self, task: Task, clock: Clock) -> None:
        """Build the artifacts of a task."""

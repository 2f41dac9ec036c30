"""One network of the zoo, as data: where it comes from, what it is fed, and what its answers are judged by."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import nn

from bench.zoo import carried
from bench.zoo.data import Data, Part, Rows

Task = Literal["top-1", "cosine", "pixels", "steps", "frames", "boxes", "values"]
"""How answers are compared: the first class, the direction of a vector, the class of each place, the decision of each
frame, the boxes that remain after suppression, or nothing but the numbers."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A network of the zoo."""

    name: str
    family: str
    source: str
    """The package and the name in it, for a person to find."""
    make: Callable[[], nn.Module]
    """Returns the network in eval mode. It takes tensors and returns a tensor or several of them."""
    data: Data
    weights: Literal["real", "seeded"]
    """Those that a package ships, or random ones from a fixed seed."""
    task: Task
    needs: tuple[str, ...] = ()
    """Modules beyond those that EdgeKit's own environment has."""
    scheme: Literal["int8", "int8-dynamic"] = "int8"
    outputs: tuple[str, ...] = ("output",)
    calibration: int = 32
    evaluation: int = 16
    small: bool = False
    """Whether it is built in continuous integration."""

    def missing(self) -> tuple[str, ...]:
        """Return the modules that it needs and that are not installed."""
        return tuple(name for name in self.needs if importlib.util.find_spec(name) is None)

    def samples(self, part: Part) -> Rows:
        """Return the samples of a part, contiguous."""
        count = self.calibration if part == "calibration" else self.evaluation
        return tuple(np.ascontiguousarray(array) for array in carried.drawn(self.data, part, count))

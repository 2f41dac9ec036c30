"""What samples are, and what draws them."""

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Rows = tuple[Array, ...]
"""Samples: one array for each input, the sample axis first."""
Part = Literal["calibration", "evaluation"]


class Data(Protocol):
    """Where samples come from; the two parts never share a source."""

    def rows(self, part: Part, count: int) -> Rows:
        """Return so many samples of a part; the same ones each time."""

    @property
    def words(self) -> str:
        """Say what the samples are."""

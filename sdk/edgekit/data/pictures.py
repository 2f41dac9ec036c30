"""Pictures as rows of an input: decoded and preprocessed when they are asked for."""

from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.data.preprocess import open_picture, to_array
from edgekit.data.rows import Array, Integers, Lazy, Rows
from edgekit.errors import DataError
from edgekit.spec import Preprocessing


def _shape(count: int, steps: Preprocessing) -> tuple[int, ...]:
    size = steps.resize.height, steps.resize.width
    return (count, steps.channels, *size) if steps.layout == "NCHW" else (count, *size, steps.channels)


class Pictures(Lazy):
    """Pictures in files."""

    costly = True

    def __init__(self, files: list[Path], steps: Preprocessing) -> None:
        """Take files, none of which is opened yet.

        Args:
            files: One a row.
            steps: How a picture becomes an input.
        """
        self._files, self._steps = files, steps
        self.shape, self.dtype = _shape(len(files), steps), np.dtype(np.float32)

    def read(self, places: Integers) -> Array:
        """Return the pictures at these places.

        Raises:
            DataError: If a file is no picture, or one that is not supported.
        """
        found = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        for number, place in enumerate(places):
            file = self._files[place]
            picture = open_picture(file)
            try:
                found[number] = to_array(picture, self._steps)[0]
            except DataError as error:
                raise DataError(f"{file}: {error.message}", hint=error.hint) from error
        return found


class Pixels(Lazy):
    """Pictures as bytes of shape (samples, H, W) or (samples, H, W, 3)."""

    costly = True

    def __init__(self, pixels: Rows, steps: Preprocessing) -> None:
        """Take bytes, and how they become an input."""
        self._pixels, self._steps = pixels, steps
        self.shape, self.dtype = _shape(len(pixels), steps), np.dtype(np.float32)

    def read(self, places: Integers) -> Array:
        """Return the pictures at these places."""
        found = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        for number, picture in enumerate(self._pixels[places]):
            found[number] = to_array(Image.fromarray(picture), self._steps)[0]
        return found

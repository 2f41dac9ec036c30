"""Pictures as rows of an input: decoded and preprocessed when they are asked for."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from edgekit.data.found import listed
from edgekit.data.preprocess import element_type, open_picture, to_array
from edgekit.data.rows import Array, Integers, Lazy, Rows
from edgekit.errors import DataError
from edgekit.spec import Preprocessing

T = TypeVar("T")


def shape_of(steps: Preprocessing) -> tuple[int, ...]:
    """Return the shape of what a picture becomes."""
    return _shape(0, steps)[1:]


def _shape(count: int, steps: Preprocessing) -> tuple[int, ...]:
    size = steps.resize.height, steps.resize.width
    return (count, steps.channels, *size) if steps.layout == "NCHW" else (count, *size, steps.channels)


class FromFiles(Lazy, Generic[T]):
    """Rows of which each is made from a file of its own."""

    costly = True

    def __init__(
        self,
        files: Sequence[T],
        shape: tuple[int, ...],
        dtype: type[np.generic],
        make: Callable[[T], Array],
        places: Sequence[str] = (),
    ) -> None:
        """Take files, none of which is opened yet.

        Args:
            files: One a row: paths, or whatever else says where a row lies.
            shape: The shape of a row.
            dtype: The type of its elements.
            make: What makes a row of a file; raises DataError.
            places: Where each file is named, for messages: file and line.
        """
        self._files, self._make, self._named = files, make, places
        self.shape, self.dtype = (len(files), *shape), np.dtype(dtype)
        self._lock = threading.Lock()

    def read(self, places: Integers) -> Array:
        """Return the rows at these places.

        Raises:
            DataError: If a file cannot be read; it names all that cannot, the first few of them one by one.
        """
        found = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        for number, place in enumerate(places):
            try:
                found[number] = self._make(self._files[place])
            except DataError as error:
                with self._lock:  # of threads that read ahead, one looks through all files
                    raise self._all_faults(place, error) from error
        return found

    def _all_faults(self, place: int, first: DataError) -> DataError:
        faults = [self._told(place, first)]
        for later in range(place + 1, len(self._files)):
            try:
                self._make(self._files[later])
            except DataError as error:
                faults.append(self._told(later, error))
        if len(faults) == 1:
            return DataError(faults[0], hint=first.hint)
        return DataError(f"{len(faults)} files cannot be read:{listed(faults)}", hint=first.hint)

    def _told(self, place: int, error: DataError) -> str:
        return f"{self._named[place]}: {error.message}" if self._named else error.message


class Pictures(FromFiles[Path]):
    """Pictures in files."""

    def __init__(self, files: Sequence[Path], steps: Preprocessing, places: Sequence[str] = ()) -> None:
        """Take files, none of which is opened yet.

        Args:
            files: One a row.
            steps: How a picture becomes an input.
            places: Where each file is named, for messages.
        """

        def make(file: Path) -> Array:
            try:
                found: Array = to_array(open_picture(file), steps)[0]
            except DataError as error:
                if str(file) in error.message:
                    raise
                raise DataError(f"{file}: {error.message}", hint=error.hint) from error
            return found

        super().__init__(files, shape_of(steps), element_type(steps), make, places)


class Pixels(Lazy):
    """Pictures as bytes of shape (samples, H, W) or (samples, H, W, 3)."""

    costly = True

    def __init__(self, pixels: Rows, steps: Preprocessing) -> None:
        """Take bytes, and how they become an input."""
        self._pixels, self._steps = pixels, steps
        self.shape, self.dtype = _shape(len(pixels), steps), np.dtype(element_type(steps))

    def read(self, places: Integers) -> Array:
        """Return the pictures at these places."""
        found = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        for number, picture in enumerate(self._pixels[places]):
            found[number] = to_array(Image.fromarray(picture), self._steps)[0]
        return found

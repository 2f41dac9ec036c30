"""Rows that are read when they are asked for: from a file, from other rows, from pictures. Arrays are rows, too."""

import contextlib
import io
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.base.ahead import ahead

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
# Elements that are read at once where nothing else says how many: 4 to 8 MB.
_ELEMENTS = 2**20


class Lazy(ABC):
    """Something like an array of shape (rows, ...) that holds no values; what is read of it is an array of its own."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    costly = False
    """Whether reading takes so long that threads should do it ahead."""

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Integers) -> Array:
        return self.read(places(rows, len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Read all rows: for what is known to be small."""
        array = self[:]
        return array if dtype is None else array.astype(dtype, copy=False)

    @abstractmethod
    def read(self, places: Integers) -> Array:
        """Return the rows at these places, of shape (places, ...)."""


Rows = Array | Lazy


def places(rows: slice | Integers, count: int) -> Integers:
    """Return the places of some of so many rows."""
    return np.arange(*rows.indices(count)) if isinstance(rows, slice) else np.arange(count)[rows]


def some(source: Rows, rows: slice | Integers) -> Rows:
    """Return some rows without reading them: of an array as NumPy does it, a view of a slice."""
    if isinstance(source, Lazy):
        return Picked(source, places(rows, len(source)))
    return source[rows]


def in_memory(source: Rows) -> Array:
    """Return all rows as an array of its own, in the order of its dimensions and of this machine's bytes."""
    dtype = source.dtype.newbyteorder("=")
    if isinstance(source, Lazy):  # what was read is an array of its own already
        return np.ascontiguousarray(source[:], dtype=dtype)
    return np.array(source, dtype=dtype, order="C")


def whole(source: Rows) -> Array:
    """Return all rows as an array; what lies in a file is mapped, not read."""
    if isinstance(source, InFile):
        return source.mapped()
    return source[:] if isinstance(source, Lazy) else source


def at_once(shape: tuple[int, ...]) -> int:
    """Return how many rows of an array to look at together."""
    return max(1, _ELEMENTS // max(1, int(np.prod(shape[1:]))))


def cuts(count: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows, ``size`` at a time; the last may be smaller."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def chunks(source: Rows) -> Iterator[tuple[slice, Array]]:
    """Yield all rows in order, some at a time, with their places; what is costly is read ahead."""
    cut = list(cuts(len(source), at_once(source.shape)))
    if isinstance(source, Lazy) and source.costly:
        # closing: who stops early leaves no threads behind.
        with contextlib.closing(ahead(source.__getitem__, cut)) as parts:
            yield from zip(cut, parts, strict=True)
    else:
        for rows in cut:
            yield rows, source[rows]


class OwnFile(io.FileIO):
    """An unbuffered file that is closed when nobody has it any more."""

    def __del__(self) -> None:
        """Close it, without a warning."""
        self.close()


class InFile(Lazy):
    """Rows that lie one after the other in a file.

    They are read, not mapped: pages of a map count as the process's own memory for as long as nobody else wants it.
    """

    def __init__(self, file: OwnFile, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Take rows that start at a byte of a file."""
        self.shape, self.dtype = shape, dtype
        self._file, self._start, self._lock = file, start, threading.Lock()

    def read(self, places: Integers) -> Array:
        """Return the rows at these places; neighbours are read together."""
        found = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        row = int(found.dtype.itemsize * np.prod(self.shape[1:]))
        target, done = found.reshape(-1).view(np.uint8).data, 0
        for run in np.split(places, np.flatnonzero(np.diff(places) != 1) + 1):
            size = len(run) * row
            if size:
                self._fill(target[done : done + size], self._start + int(run[0]) * row)
            done += size
        return found

    def mapped(self) -> Array:
        """Return all rows as a map of the file that may be written to, which leaves the file as it is."""
        mapped: Array = np.memmap(self._file, dtype=self.dtype, mode="c", offset=self._start, shape=self.shape)
        return mapped

    def _fill(self, target: memoryview, start: int) -> None:
        with self._lock:
            self._file.seek(start)
            while len(target):
                count = self._file.readinto(target)
                if not count:
                    raise OSError(f"the file ends before byte {start + len(target)}: it was cut off while it was read")
                target, start = target[count:], start + count


class Picked(Lazy):
    """Some rows of others, at given places."""

    def __init__(self, source: Lazy, places: Integers) -> None:
        """Take rows of others; of what was picked before the source itself is read."""
        self._source: Lazy = source._source if isinstance(source, Picked) else source
        self._places: Integers = source._places[places] if isinstance(source, Picked) else places
        self.shape, self.dtype, self.costly = (len(places), *source.shape[1:]), source.dtype, source.costly

    def read(self, places: Integers) -> Array:
        """Return the rows at these places."""
        return self._source.read(self._places[places])


class Joined(Lazy):
    """The rows of several arrays, one after the other."""

    def __init__(self, parts: list[Array]) -> None:
        """Take arrays of one type whose rows have one shape."""
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape, self.dtype = (int(self._ends[-1]), *parts[0].shape[1:]), parts[0].dtype

    def read(self, places: Integers) -> Array:
        """Return the rows at these places."""
        found = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        owners = np.searchsorted(self._ends, places, side="right")
        for owner in np.unique(owners):
            part, mine = self._parts[owner], owners == owner
            found[mine] = part[places[mine] - (self._ends[owner] - len(part))]
        return found


class Converted(Lazy):
    """Rows in another type."""

    def __init__(self, source: Lazy, dtype: Any) -> None:
        """Take rows, and the type that they are converted to as they are read."""
        self._source, self.costly = source, source.costly
        self.shape, self.dtype = source.shape, np.dtype(dtype)

    def read(self, places: Integers) -> Array:
        """Return the rows at these places."""
        return self._source.read(places).astype(self.dtype)


def converted(source: Rows, dtype: Any) -> Rows:
    """Return rows in another type."""
    if source.dtype == np.dtype(dtype):
        return source
    return Converted(source, dtype) if isinstance(source, Lazy) else source.astype(dtype)

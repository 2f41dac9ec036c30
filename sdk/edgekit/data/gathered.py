"""Outputs as they are computed, batch by batch: held in memory, or in a temporary file once they are large."""

import os
import shutil
import tempfile
from collections.abc import Mapping

import numpy as np

from edgekit.data.rows import Array, InFile, Joined, OwnFile, Rows
from edgekit.errors import DataError


class Gathered:
    """Rows of named arrays, added batch by batch; rows beyond the number that is wanted are left out."""

    def __init__(self, count: int, held: int) -> None:
        """Wait for the first batch, which says how large the arrays are.

        Args:
            count: Rows that are wanted.
            held: Bytes of all arrays together that are held in memory; what is larger goes to a file without a name in
                the folder for temporary files (``TMPDIR``), which is gone with the object.
        """
        self._count, self._held = count, held
        self._columns: dict[str, _InMemory | _OnDisk] = {}

    def add(self, batch: Mapping[str, Array]) -> None:
        """Take the next rows.

        Raises:
            DataError: If an array has rows of another shape than before, or none.
        """
        arrays = {name: np.atleast_1d(array) for name, array in batch.items()}
        if not self._columns:
            whole = sum(array[:1].nbytes for array in arrays.values()) * self._count
            kind = _InMemory if whole <= self._held else _OnDisk
            if kind is _OnDisk:
                _check_room(whole)
            self._columns = {name: kind(array, self._count) for name, array in arrays.items()}
        for name, array in arrays.items():
            column = self._columns[name]
            if array.shape[1:] != column.row:
                raise DataError(
                    f"{name} has rows of shape {array.shape[1:]} in one batch and {column.row} in another.",
                    hint="An output has one row a sample, all of one shape.",
                )
            column.add(array[: self._count - column.filled])

    def rows(self) -> dict[str, Rows]:
        """Return what was added."""
        return {name: column.rows() for name, column in self._columns.items()}


class Collected:
    """Batches of named arrays from somewhere that says beforehand neither how many there are nor how large they are."""

    def __init__(self, held: int | None) -> None:
        """Wait for the first batch.

        Args:
            held: Bytes that are held in memory, as the arrays that came; None: all. More goes to files as `Gathered`'s.
        """
        self._held, self._bytes = held, 0
        self._parts: dict[str, list[Array]] = {}
        self._lengths: dict[str, int] = {}
        self._files: dict[str, OwnFile] = {}

    def add(self, name: str, rows: Array) -> None:
        """Take the next rows of an array.

        Raises:
            DataError: If they are of another type or shape than those before.
        """
        parts = self._parts.setdefault(name, [])
        if parts and (parts[0].dtype, parts[0].shape[1:]) != (rows.dtype, rows.shape[1:]):
            kinds = ", ".join(f"{one.dtype.name} {one.shape[1:]}" for one in (parts[0], rows))
            raise DataError(f"{name} has rows of different kinds: {kinds}.", hint="Pad or cut them to one size.")
        parts.append(rows)
        self._lengths[name] = self._lengths.get(name, 0) + len(rows)
        self._bytes += rows.nbytes
        if self._held is not None and self._bytes > self._held:
            for key, waiting in self._parts.items():
                if key not in self._files:
                    self._files[key] = temporary()
                for part in waiting:
                    write(self._files[key], part)
                self._parts[key] = [waiting[0][:0]] if waiting else []  # what kind they are
            self._bytes = 0

    def rows(self) -> dict[str, Rows]:
        """Return what was added, by name in the order of coming."""
        return {name: self._joined(name, parts) for name, parts in self._parts.items()}

    def _joined(self, name: str, parts: list[Array]) -> Rows:
        if name in self._files:
            for part in parts:
                write(self._files[name], part)
            return InFile(self._files[name], 0, parts[0].dtype, (self._lengths[name], *parts[0].shape[1:]))
        return Joined(parts) if len(parts) > 1 else parts[0]


def _check_room(wanted: int) -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise DataError(
            f"The outputs of all samples take {wanted / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB left.",
            hint="Set TMPDIR to a folder with more room, or evaluate on fewer samples.",
        )


class _InMemory:
    def __init__(self, first: Array, count: int) -> None:
        self.row, self.filled = first.shape[1:], 0
        self._array: Array = np.empty((count, *self.row), dtype=first.dtype)

    def add(self, rows: Array) -> None:
        self._array[self.filled : self.filled + len(rows)] = rows
        self.filled += len(rows)

    def rows(self) -> Rows:
        return self._array[: self.filled]


class _OnDisk:
    def __init__(self, first: Array, count: int) -> None:
        self.row, self.filled, self._dtype = first.shape[1:], 0, first.dtype
        self._file = temporary()

    def add(self, rows: Array) -> None:
        write(self._file, rows.astype(self._dtype, copy=False))
        self.filled += len(rows)

    def rows(self) -> Rows:
        return InFile(self._file, 0, self._dtype, (self.filled, *self.row))


def temporary() -> OwnFile:
    """Return a file without a name in the folder for temporary files, gone when nobody has it any more."""
    with tempfile.TemporaryFile(prefix="edgekit-") as file:
        return OwnFile(os.dup(file.fileno()), "r+b")


def write(file: OwnFile, rows: Array) -> None:
    """Append the bytes of an array to a file."""
    left = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
    while len(left):
        left = left[file.write(left) :]

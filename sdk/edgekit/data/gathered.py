"""Outputs as they are computed, batch by batch: held in memory, or in a temporary file once they are large."""

import os
import tempfile
from collections.abc import Mapping

import numpy as np

from edgekit.data.rows import Array, InFile, OwnFile, Rows
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

"""Samples from columns: Parquet files, and folders of Hugging Face's library ``datasets``. Rows stay in their files."""

import bisect
import importlib
import io
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.found import HINT, Found, Wanted, class_of, listed, numbers, reading, shortened
from edgekit.data.pictures import FromFiles, shape_of
from edgekit.data.preprocess import decoded, element_type, to_array
from edgekit.data.rows import Array, Integers, Lazy, Rows
from edgekit.data.samples import Samples
from edgekit.data.tables import CLASSES, TEXTS
from edgekit.data.tables import GROUPS as GROUP_COLUMNS
from edgekit.data.texts import inputs_of
from edgekit.errors import DataError, ToolchainError

_IMAGES = ("image", "img", "picture", "photo", "bytes")
_SPLITS = "dataset_dict.json"


class Columns:
    """Named columns of one length, in one or several parts of which one after the other is looked at."""

    def __init__(self, path: Path, schema: Any, parts: list[tuple[int, Callable[[str], Any]]]) -> None:
        """Take the number of rows of each part, and what reads a column of it."""
        self.path, self.schema = path, schema
        self._parts, self._ends = parts, np.cumsum([count for count, _ in parts]).tolist()
        self._held: dict[str, tuple[int, Any]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._ends else 0

    def cells(self, name: str, places: Iterable[int]) -> list[Any]:
        """Return the values of a column at some places; the part that was read last is kept."""
        found = []
        with self._lock, reading(self.path):
            for place in places:
                part = bisect.bisect_right(self._ends, place)
                if self._held.get(name, (-1, None))[0] != part:
                    self._held[name] = part, self._parts[part][1](name)
                start = self._ends[part - 1] if part else 0
                found.append(self._held[name][1][int(place) - start].as_py())
        return found

    def all(self, name: str) -> list[Any]:
        """Return a column whose values are small: classes, texts."""
        return self.cells(name, range(len(self)))


class Cells(Lazy):
    """Rows that are numbers in a column, perhaps lists of them."""

    def __init__(self, columns: Columns, name: str, dtype: Any) -> None:
        """Take a column; its first row says the shape of all."""
        self._columns, self._name, self.dtype = columns, name, np.dtype(dtype)
        self.shape = (len(columns), *np.asarray(columns.cells(name, [0])[0]).shape)

    def read(self, places: Integers) -> Array:
        """Return the rows at these places.

        Raises:
            DataError: If rows have different shapes, or hold no numbers.
        """
        with reading(f"{self._name} in {self._columns.path}", hint="Numbers, or lists of numbers of one shape."):
            found = np.array(self._columns.cells(self._name, places))
            if found.dtype.kind not in "biuf" or (len(places) and found.shape[1:] != self.shape[1:]):
                raise ValueError(f"rows are {found.dtype} of shape {found.shape[1:]}, the first is of {self.shape[1:]}")
            if not np.can_cast(found.dtype, self.dtype, "same_kind"):
                raise ValueError(f"{found.dtype} does not fit into {self.dtype}")
            return found.astype(self.dtype).reshape(len(places), *self.shape[1:])


def of_parquet(path: Path, files: list[Path], wanted: Wanted) -> Found:
    """Return the samples of Parquet files, one after the other.

    Raises:
        DataError: If one cannot be read, or holds no input.
        ToolchainError: If pyarrow is missing.
    """
    parquet, parts, schema = _arrow("pyarrow.parquet"), [], None
    for file in files:
        with reading(file):
            opened = parquet.ParquetFile(str(file))
            schema = schema or opened.schema_arrow
            counts = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
            parts += [(count, _group_reader(opened, group)) for group, count in enumerate(counts)]
    return _of_columns(Columns(path, schema, parts), wanted)


def of_datasets(path: Path, files: list[Path], wanted: Wanted) -> Found:
    """Return the samples of a folder that ``Dataset.save_to_disk`` wrote; its files are mapped, not read.

    Raises:
        DataError: If it cannot be read, holds several splits, or no input.
        ToolchainError: If pyarrow is missing.
    """
    arrow, parts, schema = _arrow("pyarrow"), [], None
    for file in files:
        with reading(file):
            table = arrow.ipc.open_stream(arrow.memory_map(str(file))).read_all()
            schema = schema or table.schema
            parts.append((table.num_rows, table.column))
    return _of_columns(Columns(path, schema, parts), wanted)


def refuse_splits(path: Path) -> None:
    """Say which parts a folder of ``datasets`` has, where it has several.

    Raises:
        DataError: If it has.
    """
    if (path / _SPLITS).is_file():
        names = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
        raise DataError(
            f"{path} holds the splits {shortened(names)}.", hint=f"Name one of them: {path.name}/{names[0]}."
        )


def _group_reader(opened: Any, group: int) -> Callable[[str], Any]:
    return lambda name: opened.read_row_group(group, columns=[name]).column(0)


def _arrow(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ToolchainError(
            "Parquet files and folders of datasets are read by pyarrow.", hint='pip install "edgekit[parquet]"'
        ) from error


def _of_columns(columns: Columns, wanted: Wanted) -> Found:
    path, names = columns.path, list(columns.schema.names) if columns.schema is not None else []
    if not len(columns):
        raise DataError(f"{path} has no samples.", hint=HINT)
    named = {spec.name: spec for spec in wanted.inputs if spec.name in names}
    inputs: dict[str, Rows] = {}
    image = next((name for name in names if name.lower() in _IMAGES), None)
    text = next((name for name in names if name.lower() in TEXTS), None)
    if wanted.preprocessing is not None and image is not None:
        name, _ = wanted.image(path)
        inputs[name] = _pictures(columns, image, wanted)
    elif wanted.text is not None and text is not None:
        inputs |= inputs_of([str(value) for value in columns.all(text)], path, wanted)
    inputs |= {name: Cells(columns, name, spec.dtype) for name, spec in named.items() if name not in inputs}
    if not inputs:
        raise DataError(
            f"{path} has no column of the model's inputs; there are: {shortened(names)}",
            hint=f"Call them {', '.join(spec.name for spec in wanted.inputs)}, as the inputs; pictures {_IMAGES[0]}.",
        )
    targets: dict[str, Rows] = {}
    for spec in wanted.outputs:
        if (key := f"target.{spec.name}") in names:
            first = np.asarray(columns.cells(key, [0])[0])
            targets[spec.name] = Cells(columns, key, np.int64 if first.dtype.kind in "iu" else np.float64)
    label = next((name for name in names if name.lower() in CLASSES and name not in named), None)
    group = next((name for name in names if name.lower() in GROUP_COLUMNS and name not in named), None)
    samples = Samples(
        inputs=inputs, labels=None if label is None else _classes(columns, label, wanted), targets=targets
    )
    groups = () if group is None else tuple(map(str, columns.all(group)))
    return Found(samples=samples, groups=groups)


def _pictures(columns: Columns, column: str, wanted: Wanted) -> Lazy:
    _, steps = wanted.image(columns.path)

    def make(row: int) -> Array:
        (cell,) = columns.cells(column, [row])
        where = f"{columns.path}: row {row}"
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            raise DataError(f"{where} holds no bytes of a picture in {column}.", hint="Embed the files' bytes.")
        found: Array = to_array(decoded(io.BytesIO(data), where), steps)[0]
        return found

    return FromFiles(range(len(columns)), shape_of(steps), element_type(steps), make)


def _classes(columns: Columns, column: str, wanted: Wanted) -> Any:
    """Return the classes of a column of numbers or names; ``datasets`` may say what its numbers are called."""
    told: list[str] = []
    with reading(columns.path):
        about = json.loads((columns.schema.metadata or {}).get(b"huggingface", b"{}"))
        told = about.get("info", {}).get("features", {}).get(column, {}).get("names") or []
    found, faults = [], []
    for row, value in enumerate(columns.all(column)):
        name = told[value] if told and isinstance(value, int) and 0 <= value < len(told) else str(value)
        number = class_of(name if name in wanted.labels else str(value), wanted.labels)
        if number is None:
            faults.append(f"row {row}: {str(value)[:80]!r} is no label")
        found.append(number or 0)
    if faults:
        raise DataError(f"{columns.path} has classes that the model does not:{listed(faults)}", hint=HINT)
    return numbers(found)

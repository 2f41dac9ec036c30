"""Samples from a table: a CSV or JSON-lines file whose rows name a file and perhaps a class.

Columns are found by their names, in whatever order and with whatever others beside them. Paths start from the folder of
the table.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.found import HINT, Found, Wanted, class_of, listed, numbers, reading, shortened
from edgekit.data.media import media
from edgekit.data.samples import Samples
from edgekit.data.texts import inputs_of
from edgekit.errors import DataError
from edgekit.spec.schema import did_you_mean

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
PATHS = (
    "path", "file", "image", "filename", "file_name", "filepath", "file_path", "image_path", "picture", "img",
    "audio", "wav",
)  # fmt: skip
TEXTS = ("text", "sentence", "review", "content")
CLASSES = ("label", "class", "target", "category", "label_name", "class_name", "class_index", "label_index")
GROUPS = ("group", "source", "subject", "patient", "session", "user")
_SEPARATORS = ",;\t|"
# A line of a table of paths takes no more; a file without line breaks is none.
_LINE = 2**20


@dataclass(frozen=True, kw_only=True)
class Row:
    """One sample of a table."""

    line: int
    file: Path
    label: str | None
    group: str | None
    targets: Mapping[str, Any]


def of_table(path: Path, wanted: Wanted) -> Found:
    """Return the samples of a table.

    Raises:
        DataError: If it cannot be read, or with the lines that are wrong.
    """
    if wanted.text is not None:
        return _of_texts(path, wanted)
    kind = media(path, wanted)
    rows = read_rows(path, wanted)
    labels = classes(path, rows, wanted)
    files = [row.file for row in rows]
    return Found(
        samples=Samples(
            inputs={kind.name: kind.rows(files, [f"{path}:{row.line}" for row in rows])},
            labels=labels,
            targets=_targets(path, rows, wanted),
        ),
        files=tuple(files),
        groups=groups(path, rows),
    )


def _of_texts(path: Path, wanted: Wanted) -> Found:
    """Return the samples of a table whose rows hold a text in place of a path."""
    rows, texts = list[Row](), list[str]()
    with reading(path):
        for line, values in lines(path):
            text = next((values[name] for name in TEXTS if name in values), None)
            if not isinstance(text, str):
                raise DataError(
                    f"{path}:{line}: no column holds a text; there are: {shortened(list(values))}",
                    hint=f"Call it {' or '.join(TEXTS)}.",
                )
            texts.append(text)
            rows.append(Row(line=line, file=path, label=class_in(values), group=_text(values, GROUPS), targets={}))
    if not rows:
        raise DataError(f"{path} has no samples.", hint=HINT)
    samples = Samples(inputs=inputs_of(texts, path, wanted), labels=classes(path, rows, wanted))
    return Found(samples=samples, groups=groups(path, rows))


def read_rows(path: Path, wanted: Wanted) -> list[Row]:
    """Return the rows of a table, all of which name a file that is there.

    Raises:
        DataError: With the lines that are wrong.
    """
    rows, faults = list[Row](), list[str]()
    with reading(path, hint="CSV has a line with the names of the columns first, JSON-lines an object a line."):
        for line, values in lines(path):
            row = _row(path, line, values, wanted)
            if isinstance(row, str):
                faults.append(f"{path}:{line}: {row}")
            else:
                rows.append(row)
    if faults:
        raise DataError(
            f"{path} has {len(faults)} wrong line{'s' if len(faults) > 1 else ''}:{listed(faults)}", hint=HINT
        )
    if not rows:
        raise DataError(f"{path} has no samples.", hint=HINT)
    return rows


def classes(path: Path, rows: Sequence[Row], wanted: Wanted) -> "np.ndarray[tuple[int], np.dtype[np.int64]] | None":
    """Return the class of each row; None: the table has none.

    Raises:
        DataError: With the lines whose class is none, or has none.
    """
    if all(row.label is None for row in rows):
        return None
    found, faults, count = [], list[str](), wanted.classes
    for row in rows:
        number = None if row.label is None else class_of(row.label, wanted.labels)
        if row.label is None:
            faults.append(f"{path}:{row.line}: there is no class, as other lines have")
        elif number is None:
            faults.append(f"{path}:{row.line}: {row.label!r} is no label{did_you_mean(row.label, wanted.labels)}")
        elif count is not None and number >= count:
            faults.append(f"{path}:{row.line}: the class is {number}; there are {count}, from 0 on")
        else:
            found.append(number)
    if faults:
        hint = "Name the classes by labels in edgekit.toml, or give their numbers."
        raise DataError(f"{path} has classes that the model does not:{listed(faults)}", hint=hint)
    return numbers(found)


def groups(path: Path, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return what each row was taken from; nothing where the table does not say."""
    if all(row.group is None for row in rows):
        return ()
    return tuple(f"{path}:{row.line}" if row.group is None else row.group for row in rows)


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the values of each line, by the names of the columns in lower case.

    Raises:
        ValueError: If a line is none of the table's kind.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            for number, text in enumerate(iter(lambda: file.readline(_LINE), ""), 1):
                if text.strip():
                    yield number, _object(number, text)
            return
        first = file.readline(_LINE)
        separator = max(_SEPARATORS, key=first.count)
        file.seek(0)
        if path.suffix.lower() == ".tsv":
            separator = "\t"
        table = csv.reader(file, delimiter=separator)
        names = [name.strip().lower() for name in next(table, [])]
        for values in table:
            if values:
                if len(values) != len(names):
                    raise ValueError(f"line {table.line_num} has {len(values)} values for {len(names)} columns")
                yield table.line_num, dict(zip(names, values, strict=True))


def _object(line: int, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {line} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f'line {line} is a {type(value).__name__}, not an object such as {{"path": ...}}')
    return {str(name).strip().lower(): inner for name, inner in value.items()}


def _row(path: Path, line: int, values: Mapping[str, Any], wanted: Wanted) -> Row | str:
    """Return a row, or what is wrong with it."""
    name = _column(values)
    if name is None:
        raise DataError(
            f"{path}:{line}: no column names a file; there are: {shortened(list(values))}",
            hint=f"Call it {' or '.join(PATHS[:3])}, and that of the classes {' or '.join(CLASSES[:2])}.",
        )
    text = path_in(values)
    if text is None:
        return f"{name} is {str(values[name])[:100]!r}, no path"
    file = path.parent / text
    if not file.is_file():
        return f"{text} {'is a folder' if file.is_dir() else 'does not exist'}"
    outputs = {f"target.{spec.name}".lower(): spec.name for spec in wanted.outputs}
    return Row(
        line=line,
        file=file,
        label=class_in(values),
        group=_text(values, GROUPS),
        targets={outputs[key]: value for key, value in values.items() if key in outputs},
    )


def path_in(values: Mapping[str, Any]) -> str | None:
    """Return the path that a line names; None: it names none."""
    name = _column(values)
    text = values[name] if name is not None else None
    return text.strip() if isinstance(text, str) and text.strip() and "\0" not in text else None


def class_in(values: Mapping[str, Any]) -> str | None:
    """Return the class that a line names, by name or number; None: it names none."""
    return _text(values, CLASSES)


def _column(values: Mapping[str, Any]) -> str | None:
    return next((name for name in PATHS if name in values), None)


def _text(values: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first column of these names as text; None: there is none, or nothing in it."""
    value = next((values[name] for name in names if values.get(name) is not None), None)
    return None if value is None or isinstance(value, list | dict) else str(value).strip() or None


def _targets(path: Path, rows: Sequence[Row], wanted: Wanted) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Return true values in columns ``target.OUTPUT``: numbers, or lists of them in JSON-lines."""
    found = {}
    for spec in wanted.outputs:
        given = [row.targets[spec.name] for row in rows if spec.name in row.targets]
        if not given:
            continue
        if len(given) != len(rows):
            raise DataError(f"{path} has target.{spec.name} in {len(given)} of {len(rows)} lines.", hint="All or none.")
        with reading(f"target.{spec.name} in {path}", hint="Numbers, or lists of numbers of one shape."):
            array = np.array([json.loads(value) if isinstance(value, str) else value for value in given])
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{array.dtype} is no number")
        if spec.meaning == "regression" and array.ndim == 1 and len(spec.shape) == 2:
            array = array[:, None]
        found[spec.name] = array.astype(np.int64 if array.dtype.kind in "iu" else array.dtype)
    return found

"""Samples from a folder: pictures, in sub-folders that are named after the labels or without any, or ``.npy`` files.

Files of another kind are left out, with a note: every folder has its ``Thumbs.db``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekit.data import arrays, coco, columns, masks
from edgekit.data.found import HINT, Found, Wanted, listed, numbers, shortened
from edgekit.data.media import Media, media
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.spec.schema import did_you_mean

# What archives of a Mac leave behind.
_IGNORED = ("__MACOSX",)


def of_folder(path: Path, wanted: Wanted) -> Found:
    """Return the samples of a folder, in order of name.

    Raises:
        DataError: If it holds none, or if its sub-folders are no labels.
    """
    entries = visible(path)
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    other = _of_another_kind(path, folders, files, wanted)
    return _of_media(path, folders, files, wanted) if other is None else other


def _of_another_kind(path: Path, folders: list[Path], files: list[Path], wanted: Wanted) -> Found | None:
    """Return what a folder holds beside pictures or in place of them; None: pictures alone, or sounds."""
    if not folders and (named := [file for file in files if file.suffix.lower() == ".npy"]):
        return arrays.of_npy_folder(path, named, wanted)
    columns.refuse_splits(path)
    for suffix, read in ((".parquet", columns.of_parquet), (".arrow", columns.of_datasets)):
        if tables := [file for file in files if file.suffix.lower() == suffix]:
            return read(path, tables, wanted)
    if coco.NAME in [file.name for file in files]:
        return coco.of_coco(path / coco.NAME, wanted)
    if {masks.IMAGES, masks.MASKS} == {folder.name for folder in folders}:
        kind = media(path, wanted)
        both = {name: _sorted_out(_below(path / name), kind)[0] for name in (masks.IMAGES, masks.MASKS)}
        return masks.of_masks(path, both[masks.IMAGES], both[masks.MASKS], wanted)
    return None


def _of_media(path: Path, folders: list[Path], files: list[Path], wanted: Wanted) -> Found:
    kind = media(path, wanted)
    pictures, strays = _sorted_out(files, kind)
    if pictures and folders:
        raise DataError(
            f"{path} has both {kind.what} ({shortened([file.name for file in pictures])}) and sub-folders "
            f"({shortened([folder.name for folder in folders])}); one of the two is needed.",
            hint=HINT,
        )
    notes: list[str] = []
    labels: list[int] | None = None
    if folders:
        classes = _classes(path, folders, wanted, notes)
        labels = [] if classes is not None else None
        for number, folder in enumerate(folders):
            inside, others = _sorted_out(_below(folder), kind)
            pictures += inside
            strays += others
            if labels is not None and classes is not None:
                labels += [classes[number]] * len(inside)
    if not pictures:
        beside = f"; its files are no {kind.what} that are read: {shortened(_relative(strays, path))}" if strays else ""
        raise DataError(f"{path} has no {kind.what}{beside}.", hint=HINT)
    if strays:
        notes.append(f"{path.name}: {left_out(_relative(strays, path))}")
    samples = Samples(inputs={kind.name: kind.rows(pictures, ())}, labels=None if labels is None else numbers(labels))
    return Found(samples=samples, notes=tuple(notes), files=tuple(pictures))


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder in order of name, but for hidden entries.

    Raises:
        DataError: If the folder cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error}", hint=HINT) from error
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _IGNORED]


def left_out(names: Sequence[str]) -> str:
    """Return the note on files that are not read."""
    return f"{len(names)} file{'s' if len(names) > 1 else ''} of another kind left out: {shortened(names)}."


def _classes(path: Path, folders: list[Path], wanted: Wanted, notes: list[str]) -> list[int] | None:
    """Return the class of each sub-folder; None: they are no classes."""
    names = [folder.name for folder in folders]
    if wanted.labels:
        if strange := [name for name in names if name not in wanted.labels]:
            faults = listed([f"{name}{did_you_mean(name, wanted.labels)}" for name in strange])
            raise DataError(f"{path} has sub-folders that no label names:{faults}", hint="Set labels in edgekit.toml.")
        return [wanted.labels.index(name) for name in names]
    if wanted.classes is not None and all(name.isdigit() and int(name) < wanted.classes for name in names):
        return [int(name) for name in names]
    if wanted.classes == len(names):
        notes.append(
            f"{path.name}: without labels in the project, the sub-folders were taken for the classes in order of name: "
            f"{shortened(names)}."
        )
        return list(range(len(names)))
    if wanted.classes is not None:
        notes.append(
            f"{path.name}: its {len(names)} sub-folders were not taken for classes, of which there are "
            f"{wanted.classes}; labels in the project would name them."
        )
    return None


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of a sub-folder and of the folders in it."""
    for entry in visible(folder):
        if not entry.is_dir():
            yield entry
            continue
        for inner in visible(entry):
            if inner.is_dir():
                raise DataError(
                    f"{inner} lies too deep: pictures are read from sub-folders, and from folders in those.", hint=HINT
                )
            yield inner


def _sorted_out(files: Iterator[Path] | list[Path], kind: Media) -> tuple[list[Path], list[Path]]:
    """Return the files that are read, and all else."""
    pictures, others = list[Path](), list[Path]()
    for file in files:
        (pictures if file.suffix.lower() in kind.suffixes else others).append(file)
    return pictures, others


def _relative(files: list[Path], path: Path) -> list[str]:
    return [file.relative_to(path).as_posix() for file in files]

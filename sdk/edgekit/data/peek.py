"""What data tells of a model that it is for, before anything is known of it: pictures, sounds, arrays, classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgekit.data import archives, coco, tables
from edgekit.data.folders import visible
from edgekit.data.found import class_of
from edgekit.data.media import PICTURES
from edgekit.data.rows import Rows
from edgekit.data.sounds import SUFFIXES, sizes_of
from edgekit.errors import DataError

_OPENED = 24
_HELD = 2**28
# Names that are classes: more of them are something else.
_MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class Peek:
    """What is seen of data without reading it whole."""

    pictures: bool = False
    """Whether it holds pictures, which are preprocessed."""
    size: tuple[int, int] | None = None
    """Height and width of the pictures, where all that were looked at have the same."""
    grey: bool = False
    """Whether all of them are grey."""
    sounds: bool = False
    """Whether it holds sounds."""
    rate: int = 0
    """Samples a second of the sounds, where all that were looked at have the same; else 0."""
    length: int = 0
    """Samples of the sounds, where all that were looked at have as many; else 0."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in order."""
    told: str = ""
    """What tells them: folders, a column."""
    arrays: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    """Type and shape of one row of each array, by name."""
    rows: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """The same of arrays without names, in the order of ``forward``; the classes may come last."""
    classes: int = 0
    """One more than the largest class; 0 where there are none."""

    def named(self, names: Sequence[str]) -> "Peek":
        """Return the same with the names of the inputs for what has none."""
        fits = len(names) == 1 or len(self.rows) in (len(names), len(names) + 1)
        found = dict(zip(names, self.rows, strict=False)) if fits else {}
        return replace(self, arrays={**found, **self.arrays})


def peek(paths: Sequence[Path]) -> Peek:
    """Look at data sets that are for the same model; what cannot be read tells nothing."""
    return merged([_folder(path) if path.is_dir() else _file(path) for path in paths])


def merged(seen: Sequence[Peek]) -> Peek:
    """Return what several data sets tell of one model."""
    pictures = [one for one in seen if one.pictures]
    sizes = {one.size for one in pictures}
    rates, lengths = ({getattr(one, key) for one in seen if one.sounds} for key in ("rate", "length"))
    orders = {one.labels for one in seen if one.labels}
    return Peek(
        pictures=bool(pictures),
        size=sizes.pop() if len(sizes) == 1 else None,
        grey=bool(pictures) and all(one.grey for one in pictures),
        sounds=any(one.sounds for one in seen),
        rate=rates.pop() if len(rates) == 1 else 0,
        length=lengths.pop() if len(lengths) == 1 else 0,
        labels=orders.pop() if len(orders) == 1 else tuple(sorted({name for order in orders for name in order})),
        told=next((one.told for one in seen if one.told), ""),
        arrays={name: kind for one in seen for name, kind in one.arrays.items()},
        rows=next((one.rows for one in seen if one.rows), ()),
        classes=max((one.classes for one in seen), default=0),
    )


def _folder(path: Path) -> Peek:
    try:
        folders = [entry for entry in visible(path) if entry.is_dir()]
        files = [file for folder in folders or [path] for file in visible(folder)]
    except DataError:
        return Peek()  # the build says what is wrong with it
    read = {file.parent for file in files if file.suffix.lower() in (*PICTURES, *SUFFIXES)}
    named = tuple(folder.name for folder in folders if folder in read)
    told = "the folders of the data, in order" if named else ""
    return replace(_media(files), labels=named, told=told, classes=len(named))


def _media(files: Sequence[Path]) -> Peek:
    """Return what some pictures or sounds tell, of which a few are opened; files of other kinds are left out."""
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    sounds = [file for file in files if file.suffix.lower() in SUFFIXES]
    heard = [sizes_of(file) for file in sounds[:: len(sounds) // _OPENED + 1]]
    rates, lengths = ({one[place] for one in heard} for place in (0, 1))
    kinds = [kind for file in pictures[:: len(pictures) // _OPENED + 1] if (kind := _kind(file))]
    sizes = {size for size, _ in kinds}
    return Peek(
        pictures=bool(pictures),
        size=sizes.pop() if len(sizes) == 1 else None,
        grey=bool(kinds) and all(grey for _, grey in kinds),
        sounds=bool(sounds),
        rate=rates.pop() if len(rates) == 1 else 0,
        length=lengths.pop() if len(lengths) == 1 else 0,
    )


def _kind(file: Path) -> tuple[tuple[int, int], bool] | None:
    try:
        with Image.open(file) as picture:
            return (picture.height, picture.width), picture.mode in ("1", "L", "LA", "I", "I;16")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None  # the build says what is wrong with it


def _file(path: Path) -> Peek:
    try:
        if path.suffix.lower() in tables.SUFFIXES:
            return _table(path)
        if path.suffix.lower() == ".json":
            return _media(coco.pictures_of(path))
    except Exception:  # whatever stands in it: the build says what is wrong with it
        return Peek()
    arrays = _arrays(path)
    pixels = arrays.get("pictures")
    labels = arrays.get("labels")
    return Peek(
        pictures=pixels is not None,
        size=pixels.shape[1:3] if pixels is not None and pixels.ndim in (3, 4) else None,  # type: ignore[arg-type]
        grey=pixels is not None and pixels.ndim == 3,
        arrays={name: (rows.dtype.name, tuple(rows.shape[1:])) for name, rows in arrays.items() if rows.ndim},
        classes=1 + int(np.max(labels)) if labels is not None and labels.ndim == 1 and len(labels) else 0,
    )


def _table(path: Path) -> Peek:
    """Return what a table tells: the pictures that it names, and its classes by number or, in order, by name."""
    files, found = list[Path](), dict[str, None]()
    for _, values in tables.lines(path):
        if (name := tables.path_in(values)) is not None:
            files.append(path.parent / name)
        if (label := tables.class_in(values)) is not None and len(found) <= _MOST:
            found[label] = None
    seen, numbers = _media(files), [class_of(label, ()) for label in found]
    if len(found) > _MOST or not found:
        return seen
    if all(number is not None for number in numbers):
        return replace(seen, classes=1 + max(number for number in numbers if number is not None))
    return replace(seen, labels=tuple(sorted(found)), told="the classes in the table, by name", classes=len(found))


def _arrays(path: Path) -> Mapping[str, Rows]:
    try:
        match path.suffix.lower():
            case ".npz":
                return archives.of_npz(path, _HELD)
            case ".safetensors":
                return archives.of_safetensors(path, _HELD)
    except Exception:  # whatever the bytes are: the build says what is wrong with them
        return {}
    return {}

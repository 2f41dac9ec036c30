"""What data tells of a model that it is for, before anything is known of the model: pictures, arrays, classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgekit.data import archives, tables
from edgekit.data.folders import visible
from edgekit.data.media import PICTURES
from edgekit.data.rows import Rows
from edgekit.errors import DataError

_OPENED = 24
_HELD = 2**28


@dataclass(frozen=True, kw_only=True)
class Peek:
    """What is seen of data without reading it whole."""

    pictures: bool = False
    """Whether it holds pictures, which are preprocessed."""
    size: tuple[int, int] | None = None
    """Height and width of the pictures, where all that were looked at have the same."""
    grey: bool = False
    """Whether all of them are grey."""
    folders: tuple[str, ...] = ()
    """Names of the sub-folders, in order."""
    arrays: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    """Type and shape of one row of each array, by name."""
    classes: int = 0
    """One more than the largest class; 0 where there are none."""


def peek(paths: Sequence[Path]) -> Peek:
    """Look at data sets that are for the same model; what cannot be read tells nothing."""
    seen = [_folder(path) if path.is_dir() else _file(path) for path in paths]
    pictures = [one for one in seen if one.pictures]
    sizes = {one.size for one in pictures}
    return Peek(
        pictures=bool(pictures),
        size=sizes.pop() if len(sizes) == 1 else None,
        grey=bool(pictures) and all(one.grey for one in pictures),
        folders=tuple(sorted({name for one in seen for name in one.folders})),
        arrays={name: kind for one in seen for name, kind in one.arrays.items()},
        classes=max((one.classes for one in seen), default=0),
    )


def _folder(path: Path) -> Peek:
    try:
        folders = [entry for entry in visible(path) if entry.is_dir()]
        files = [file for folder in folders or [path] for file in visible(folder)]
    except DataError:
        return Peek()  # the build says what is wrong with it
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    kinds = [kind for file in pictures[:: len(pictures) // _OPENED + 1] if (kind := _kind(file))]
    sizes = {size for size, _ in kinds}
    named = tuple(folder.name for folder in folders if any(file.parent == folder for file in pictures))
    return Peek(
        pictures=bool(pictures),
        size=sizes.pop() if len(sizes) == 1 else None,
        grey=bool(kinds) and all(grey for _, grey in kinds),
        folders=named,
        classes=len(named),
    )


def _kind(file: Path) -> tuple[tuple[int, int], bool] | None:
    try:
        with Image.open(file) as picture:
            return (picture.height, picture.width), picture.mode in ("1", "L", "LA", "I", "I;16")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None  # the build says what is wrong with it


def _file(path: Path) -> Peek:
    if path.suffix.lower() in (*tables.SUFFIXES, ".json"):
        return Peek(pictures=True)
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

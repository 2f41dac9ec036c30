"""What files become which input: pictures or sounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.data import sounds
from edgekit.data.found import Wanted
from edgekit.data.pictures import Pictures
from edgekit.data.rows import Lazy

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, kw_only=True)
class Media:
    """One kind of files."""

    name: str
    """The input."""
    what: str
    """What the files are, for messages."""
    suffixes: tuple[str, ...]
    rows: Callable[[Sequence[Path], Sequence[str]], Lazy]
    """Makes rows of files, and of where each is named."""


def media(path: Path, wanted: Wanted) -> Media:
    """Return what the files at a place are read as.

    Raises:
        DataError: If the model takes neither pictures nor sounds.
    """
    if wanted.audio is not None and wanted.preprocessing is None:
        name, make, shape = sounds.maker(path, wanted.inputs, wanted.audio)
        return Media(
            name=name,
            what="sounds",
            suffixes=sounds.SUFFIXES,
            rows=lambda files, places: sounds.Sounds(files, shape, make, places),
        )
    name, steps = wanted.image(path)
    return Media(
        name=name, what="pictures", suffixes=PICTURES, rows=lambda files, places: Pictures(files, steps, places)
    )

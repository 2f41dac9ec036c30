"""What data is read for, and what a reader found: samples that nobody has looked at yet, and what to say of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.data.rows import Integers
from edgekit.data.samples import Samples
from edgekit.errors import DataError, EdgeKitError
from edgekit.spec import Audio, Preprocessing, TensorSpec, Text

HINT = "See docs/data.md for the layouts that are read."
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What data is read for."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...] = ()
    """Their true values may stand in the data."""
    preprocessing: Preprocessing | None = None
    audio: Audio | None = None
    text: Text | None = None
    labels: tuple[str, ...] = ()
    root: Path = Path()
    """The project's folder, from which the tokenizer is named."""
    held: int = 0
    """Bytes of an array that are read into memory; larger ones stay in a file."""

    def image(self, path: Path) -> tuple[str, Preprocessing]:
        """Return the name of the input that pictures become, and how.

        Raises:
            DataError: If the model takes no pictures.
        """
        images = [spec.name for spec in self.inputs if spec.meaning == "image"]
        if self.preprocessing is None or len(images) != 1:
            raise DataError(
                f"{path} holds pictures or sounds: pictures need [preprocessing] and an input of images, sounds need "
                "[audio], and [audio.features] where the model takes a spectrogram.",
                hint=HINT,
            )
        return images[0], self.preprocessing

    @property
    def classes(self) -> int | None:
        """The number of classes, where labels or logits tell it."""
        sizes = [spec.shape[-1] for spec in self.outputs if spec.meaning == "logits" and spec.shape]
        known = sizes[0] if sizes and isinstance(sizes[0], int) else None
        return len(self.labels) or known


@dataclass(frozen=True, kw_only=True)
class Found:
    """Samples as they lie somewhere."""

    samples: Samples
    notes: tuple[str, ...] = ()
    """What a reader of the report must know, a file that was left out for instance."""
    files: tuple[Path, ...] = ()
    """The file of each sample, where each has one of its own."""
    groups: tuple[str, ...] = ()
    """What each sample was taken from, where the data says so: a patient, a film."""

    def rows(self, places: Integers) -> "Found":
        """Return some of them."""
        return replace(
            self,
            samples=self.samples.rows(places),
            files=tuple(self.files[place] for place in places) if self.files else (),
            groups=tuple(self.groups[place] for place in places) if self.groups else (),
        )


def shortened(texts: Sequence[str], *, separator: str = ", ") -> str:
    """Return the first five of some texts, and how many more there are."""
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return separator.join([*texts[:_SHOWN], *more])


def listed(faults: Sequence[str]) -> str:
    """Return the first five faults, one a line, and how many more there are."""
    return "".join(f"\n  - {line}" for line in shortened(faults, separator="\n").split("\n"))


@contextmanager
def reading(path: Path | str, *, hint: str = HINT) -> Iterator[None]:
    """Raise whatever a library raises over the bytes of a file as a DataError of that file.

    No list of exceptions is long enough: damaged bytes end in whatever a decoder stumbles over.
    """
    try:
        yield
    except EdgeKitError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path} cannot be read: {reason or type(error).__name__}", hint=hint) from error


def class_of(text: str, labels: tuple[str, ...]) -> int | None:
    """Return the number of a class that is given by its name or by its number; None: it is neither."""
    if text in labels:
        return labels.index(text)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def numbers(labels: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return class numbers as an array."""
    return np.array(labels, dtype=np.int64)

"""Where a store lies: what a folder and an object store have in common, and which of them a text names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgekit.errors import StoreError


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file of a store."""

    name: str
    """Its path in the store, with slashes."""
    bytes: int
    modified: float
    """Seconds since the epoch; of places that do not know it 0."""


class Place(Protocol):
    """Whole files by name. Any number of processes and machines may read and write at once."""

    @property
    def text(self) -> str:
        """The path or the URL."""

    def read(self, name: str) -> bytes | None:
        """Return a file, or None if there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file: whoever reads sees the old one whole or the new one whole."""

    def has(self, name: str, size: int) -> bool:
        """Whether there is a file with so many bytes."""

    def items(self, under: str) -> Iterator[Item]:
        """Yield the files below a folder."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    def link(self, name: str, start: Path) -> str:
        """Return how a page in the folder ``start`` names a file."""


def open_place(text: str) -> Place:
    """Return the place that a text names: a URL such as ``s3://BUCKET/PATH``, or a folder.

    Raises:
        StoreError: If it cannot be used.
    """
    if not text:
        raise StoreError("The store has no name.", hint="Give a folder, or a URL such as s3://BUCKET/PATH.")
    if "://" in text and not text.startswith("file://"):
        from edgekit.base.store.remote import open_remote  # a library that folders do without

        return open_remote(text)
    from edgekit.base.store.folder import Folder

    return Folder(folder=Path(text.removeprefix("file://")).expanduser().absolute())

"""Blobs of a store: each is named by the SHA-256 of its bytes, so that equal ones are kept once and none is changed."""

import re
from collections.abc import Iterator

from edgekit.base import digest
from edgekit.base.store.place import Item, Place
from edgekit.errors import StoreError

BLOBS = "blobs"
_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z]+)?")


def name_of(data: bytes, ending: str = "") -> str:
    """Return the name of a blob: its digest, and an ending such as ``.html`` by which browsers know what it is."""
    return digest.of_bytes(data) + ending


def path_of(blob: str) -> str:
    """Return where a blob lies in the store.

    Raises:
        StoreError: If it is the name of none.
    """
    if not _NAME.fullmatch(blob):
        raise StoreError(f"{blob[:100]!r} is no name of a blob.", hint="edgekit store verify finds what is damaged.")
    return f"{BLOBS}/{blob[:2]}/{blob}"


def put(place: Place, data: bytes, ending: str = "") -> str:
    """Store a blob unless it is there, and return its name.

    Raises:
        StoreError: If it cannot be written.
    """
    blob = name_of(data, ending)
    if not place.has(path_of(blob), len(data)):
        place.write(path_of(blob), data)
    return blob


def get(place: Place, blob: str) -> bytes:
    """Return a blob, its digest checked.

    Raises:
        StoreError: If it is missing, or damaged.
    """
    data = place.read(path_of(blob))
    if data is None:
        raise StoreError(f"{place.text} lacks the blob {blob}.", hint="edgekit store verify --remove, and sweep again.")
    if not is_whole(blob, data):
        raise StoreError(f"The blob {blob} in {place.text} is damaged.", hint="edgekit store verify --remove.")
    return data


def is_whole(blob: str, data: bytes) -> bool:
    """Whether a blob has the digest that its name says."""
    return digest.of_bytes(data) == blob.partition(".")[0]


def every(place: Place) -> Iterator[tuple[str, Item]]:
    """Yield the name and the file of every blob, and an empty name for what is none: what a killed writer has left."""
    for item in place.items(BLOBS):
        name = item.name.rpartition("/")[2]
        yield (name if _NAME.fullmatch(name) else ""), item

"""What a store holds, whether it is whole, and taking away what nothing needs any more."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from edgekit.base.store import blobs
from edgekit.base.store.place import Item, Place
from edgekit.bundles.cells import Failure, Result
from edgekit.errors import StoreError
from edgekit.pipeline.sweeping import results

_UNFINISHED_S = 3600.0
_DAY_S = 86400.0


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a store holds."""

    results: tuple[Result, ...]
    """By name."""
    failures: tuple[Failure, ...]
    sweeps: tuple[tuple[str, int], ...]
    """Tags with the number of their cells, the latest last."""
    bytes: int
    """Of all blobs."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Whether a store is whole."""

    results: int
    """How many were read."""
    blobs: int
    """How many were read."""
    faults: tuple[str, ...]
    """What is wrong, one line each."""
    removed: int
    """How many files were taken away for it."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was taken away, or would be."""

    results: int
    blobs: int
    bytes: int
    """Of both."""


def listed(place: Place) -> Listing:
    """Return what a store holds.

    Raises:
        StoreError: If it cannot be read, or a document is damaged.
    """
    return Listing(
        results=tuple(sorted(results.every(place), key=lambda one: (str(one.name), one.key))),
        failures=results.failures(place),
        sweeps=tuple((sweep.tag, len(sweep.cells)) for sweep in results.sweeps(place)),
        bytes=sum(item.bytes for _, item in blobs.every(place)),
    )


def verify(place: Place, *, remove: bool = False) -> Verified:
    """Read all results and blobs, and hold each blob against its digest.

    Args:
        place: The store.
        remove: Whether damaged files, and results that lack one, are taken away: the next sweep makes them again.

    Raises:
        StoreError: If the store cannot be read.
    """
    faults: list[str] = []
    bad: list[str] = []
    whole, count = set[str](), 0
    for name, item in blobs.every(place):
        if not name:
            continue  # somebody writes it, or was killed: for `collect`
        count += 1
        data = place.read(item.name)
        if data is not None and blobs.is_whole(name, data):
            whole.add(name)
        else:
            faults.append(f"{item.name}: its content is not what its name says")
            bad.append(item.name)
    read = 0
    for item in results.documents(place):
        read += 1
        try:
            found = results.parse(place.read(item.name) or b"", item.name)
        except StoreError as error:
            faults.append(error.message)
            bad.append(item.name)
            continue
        fault = "its name is not its key" if results.path_of(found.key) != item.name else ""
        if lacking := [blob for blob in found.blobs.values() if blob not in whole]:
            # A blob may have been written since they were listed.
            lacking = [blob for blob in lacking if not _is_whole(place, blob)]
            fault = f"{found.name} lacks {', '.join(lacking)}" if lacking else fault
        if fault:
            faults.append(f"{item.name}: {fault}")
            bad.append(item.name)
    for name in bad if remove else ():
        place.remove(name)
    return Verified(results=read, blobs=count, faults=tuple(faults), removed=len(bad) if remove else 0)


def collect(place: Place, *, days: float = 30.0, drop: Collection[str] = (), dry: bool = False) -> Collected:
    """Take away results that no sweep names, and blobs that no result names.

    Args:
        place: The store.
        days: What is younger stays, named or not.
        drop: Tags of sweeps to forget before.
        dry: Whether to say only what would go.

    Raises:
        StoreError: If the store cannot be read or written, or there is no such tag.
    """
    sweeps = results.sweeps(place)
    if unknown := set(drop) - {sweep.tag for sweep in sweeps}:
        known = ", ".join(sweep.tag for sweep in sweeps) or "none"
        raise StoreError(f"There is no sweep {min(unknown)!r}.", hint=f"Tags: {known}.")
    before = time.time() - days * _DAY_S
    named = {cell.key for sweep in sweeps if sweep.tag not in drop for cell in sweep.cells}
    # Blobs are listed first: whatever a result names that is written meanwhile is not among them.
    held = [(name, item) for name, item in blobs.every(place) if _is_old(name, item, before)]
    dead: list[Item] = []
    needed = set[str]()
    for item in results.documents(place):
        key = item.name.rpartition("/")[2].removesuffix(".json")
        found = results.find(place, key)
        if found is None or key in named or item.modified > before:
            needed |= set(found.blobs.values()) if found else set()
        else:
            dead.append(item)
    unneeded = [item for name, item in held if name not in needed]
    if not dry:
        for tag in drop:
            place.remove(f"{results.SWEEPS}/{tag}.json")
        for item in (*dead, *unneeded):  # results first: one that is there has its blobs
            place.remove(item.name)
    size = sum(item.bytes for item in (*dead, *unneeded))
    return Collected(results=len(dead), blobs=len(unneeded), bytes=size)


def _is_old(name: str, item: Item, before: float) -> bool:
    return item.modified <= (before if name else time.time() - _UNFINISHED_S)


def _is_whole(place: Place, blob: str) -> bool:
    try:
        blobs.get(place, blob)
    except StoreError:
        return False
    return True

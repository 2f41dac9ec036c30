"""Results, failures and sweeps in a store: documents beside the blobs that they name."""

from collections.abc import Iterator
from typing import TypeVar

from pydantic import Field, ValidationError

from edgekit.base.store.place import Item, Place
from edgekit.base.values import Name, Spec
from edgekit.bundles.cells import CellName, Failure, Result
from edgekit.errors import StoreError

RESULTS, FAILURES, SWEEPS = "results", "failures", "sweeps"
S = TypeVar("S", bound=Spec)


class Ordered(Spec):
    """One cell of a sweep that was asked for."""

    name: CellName
    """What it is called."""
    key: str
    """Where its result is, once there is one."""


class SweepRecord(Spec):
    """What a sweep was asked to do: written before it begins, so that nothing of it is taken for garbage."""

    tag: Name
    """The release, or ``latest``."""
    started: float
    """When, in seconds since the epoch."""
    cells: tuple[Ordered, ...]
    """The cells, those among them that are not done."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Cells that cannot be, with the reason."""


def path_of(key: str) -> str:
    """Return where the result of a cell lies."""
    return f"{RESULTS}/{key[:2]}/{key}.json"


def stored(place: Place) -> set[str]:
    """Return the keys of all cells that have a result: one listing, however many there are."""
    return {item.name.rpartition("/")[2].removesuffix(".json") for item in _documents(place, RESULTS)}


def find(place: Place, key: str) -> Result | None:
    """Return the result of a cell, or None if there is none.

    Raises:
        StoreError: If it is damaged.
    """
    return _read(place, path_of(key), Result)


def every(place: Place) -> Iterator[Result]:
    """Yield all results, in order of their keys.

    Raises:
        StoreError: If one is damaged.
    """
    for item in sorted(_documents(place, RESULTS), key=lambda item: item.name):
        found = _read(place, item.name, Result)
        if found is not None:  # nobody has removed it meanwhile
            yield found


def keep(place: Place, result: Result) -> None:
    """Store a result, whose blobs are there; a failure of the same cell is over."""
    place.write(path_of(result.key), _bytes(result))
    place.remove(f"{FAILURES}/{result.key}.json")


def fail(place: Place, failure: Failure) -> None:
    """Store a failure."""
    place.write(f"{FAILURES}/{failure.key}.json", _bytes(failure))


def failures(place: Place) -> tuple[Failure, ...]:
    """Return all failures, by name."""
    found = [_read(place, item.name, Failure) for item in _documents(place, FAILURES)]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: str(one.name)))


def record(place: Place, sweep: SweepRecord) -> None:
    """Store what a sweep was asked to do; one of the same tag is replaced."""
    place.write(f"{SWEEPS}/{sweep.tag}.json", _bytes(sweep))


def sweeps(place: Place) -> tuple[SweepRecord, ...]:
    """Return all sweeps, the latest last."""
    found = [_read(place, item.name, SweepRecord) for item in _documents(place, SWEEPS)]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.started, one.tag)))


def documents(place: Place) -> Iterator[Item]:
    """Yield the files of all results."""
    return _documents(place, RESULTS)


def parse(data: bytes, where: str) -> Result:
    """Read a result.

    Raises:
        StoreError: If it is none.
    """
    return _parsed(data, where, Result)


def _documents(place: Place, under: str) -> Iterator[Item]:
    return (item for item in place.items(under) if item.name.endswith(".json"))


def _read(place: Place, name: str, kind: type[S]) -> S | None:
    data = place.read(name)
    return None if data is None else _parsed(data, f"{place.text}/{name}", kind)


def _parsed(data: bytes, where: str, kind: type[S]) -> S:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        told = f"{'.'.join(map(str, first['loc'])) or 'the text'}: {first['msg']}"
        raise StoreError(
            f"{where} is damaged, or of another version of EdgeKit: {told}.",
            hint="edgekit store verify --remove takes damaged results away; the next sweep makes them again.",
        ) from error


def _bytes(document: Spec) -> bytes:
    return (document.model_dump_json() + "\n").encode()

"""JSON values that know where they stand, so that what a page shows can be followed back to the file."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A value of a JSON document, and the way to it.

    Templates reach its members by ``value.name`` and ``value[0]``, and print it through a form (see ``forms``); bare it
    cannot be printed.
    """

    raw: JsonValue
    """The value itself."""
    pointer: str
    """JSON pointer (RFC 6901) whose first part names the document: ``/report/drift/legs/3/metrics/sqnr_db``."""

    def __getitem__(self, key: str | int) -> "Traced":
        """Return a member; a LookupError or TypeError if there is none."""
        return Traced(raw=self.raw[key], pointer=f"{self.pointer}/{_escaped(str(key))}")  # type: ignore[index]

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self.raw)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        """Return whether there is something: not null, and not empty."""
        return self.raw is not None and self.raw is not False and self.raw not in ("", [], {})

    def __iter__(self) -> Iterator["Traced"]:
        """Yield the items of a list, or the members of an object in the order of the file."""
        keys = self.raw if isinstance(self.raw, dict) else range(len(self))
        return (self[key] for key in keys)

    @property
    def key(self) -> str:
        """The last part of the pointer: a member's name, or its number."""
        return self.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")

    def __html__(self) -> str:
        """Refuse to be printed without a form."""
        raise TypeError(f"{self.pointer} is printed without saying how")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")

"""A store in a folder, which may lie on a file system that many machines share."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.base import atomic
from edgekit.base.store.place import Item
from edgekit.errors import StoreError


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Files in a folder. Each is written beside its place, synced, and moved there in one step. Implements `Place`."""

    folder: Path

    @property
    def text(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def read(self, name: str) -> bytes | None:
        """Return a file, or None if there is none.

        Raises:
            StoreError: If it cannot be read.
        """
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _fault(self.folder / name, "read", error) from error

    def write(self, name: str, data: bytes) -> None:
        """Write a file in one step.

        Raises:
            StoreError: If it cannot be written.
        """
        try:
            atomic.put_file(self.folder / name, data)
        except OSError as error:
            raise _fault(self.folder / name, "written", error) from error

    def has(self, name: str, size: int) -> bool:
        """Whether there is a file with so many bytes."""
        try:
            return (self.folder / name).stat().st_size == size
        except OSError:
            return False

    def items(self, under: str) -> Iterator[Item]:
        """Yield the files below a folder, in no order; what killed writers left among them."""
        waiting = [self.folder / under]
        while waiting:
            try:
                entries = list(os.scandir(waiting.pop()))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _fault(self.folder / under, "read", error) from error
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # somebody has moved it into place, or removed it
                name = Path(entry.path).relative_to(self.folder).as_posix()
                yield Item(name=name, bytes=status.st_size, modified=status.st_mtime)

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            StoreError: If it cannot be removed.
        """
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _fault(self.folder / name, "removed", error) from error

    def link(self, name: str, start: Path) -> str:
        """Return the path of a file from a folder."""
        return Path(os.path.relpath(self.folder / name, start.absolute())).as_posix()


def _fault(path: Path, done: str, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be {done}: {error.strerror or error}.",
        hint="Name another folder with --store, or free some space, or ask for the right to write there.",
    )

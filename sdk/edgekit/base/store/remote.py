"""A store at a URL: S3, Google's storage and what else fsspec knows. An object there is replaced in one step."""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edgekit.base.store.place import Item
from edgekit.errors import StoreError, ToolchainError

_WHEN = ("LastModified", "last_modified", "updated", "mtime", "created")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Objects below a URL. Implements `Place`."""

    url: str
    system: Any
    """The file system, an ``fsspec.AbstractFileSystem``."""
    root: str
    """The path in it."""

    @property
    def text(self) -> str:
        """The URL."""
        return self.url

    def read(self, name: str) -> bytes | None:
        """Return an object, or None if there is none.

        Raises:
            StoreError: If it cannot be read.
        """
        try:
            return bytes(self.system.cat_file(self._path(name)))
        except FileNotFoundError:
            return None
        except Exception as error:  # each file system has classes of its own
            raise self._fault(name, "read", error) from error

    def write(self, name: str, data: bytes) -> None:
        """Write an object.

        Raises:
            StoreError: If it cannot be written.
        """
        try:
            self.system.pipe_file(self._path(name), data)
        except Exception as error:
            raise self._fault(name, "written", error) from error

    def has(self, name: str, size: int) -> bool:
        """Whether there is an object with so many bytes."""
        try:
            return bool(self.system.info(self._path(name))["size"] == size)
        except FileNotFoundError:
            return False
        except Exception as error:
            raise self._fault(name, "read", error) from error

    def items(self, under: str) -> Iterator[Item]:
        """Yield the objects below a path."""
        try:
            self.system.invalidate_cache()  # others write there, too
            found: Mapping[str, Mapping[str, Any]] = self.system.find(self._path(under), detail=True)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._fault(under, "listed", error) from error
        for path, about in found.items():
            name = path[path.index(self.root) + len(self.root) :].lstrip("/")
            yield Item(name=name, bytes=int(about["size"] or 0), modified=_when(about))

    def remove(self, name: str) -> None:
        """Remove an object.

        Raises:
            StoreError: If it cannot be removed.
        """
        try:
            self.system.rm_file(self._path(name))
        except FileNotFoundError:
            pass
        except Exception as error:
            raise self._fault(name, "removed", error) from error

    def link(self, name: str, start: Path) -> str:
        """Return the URL of an object."""
        return f"{self.url}/{name}"

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _fault(self, name: str, done: str, error: Exception) -> StoreError:
        told = (str(error) or type(error).__name__).strip().splitlines()[0]
        return StoreError(
            f"{self.url}/{name} cannot be {done}: {told}",
            hint="Check the URL and your rights there; the library of the URL's kind reads its usual settings.",
        )


def open_remote(url: str) -> Remote:
    """Return the place that a URL names.

    Raises:
        ToolchainError: If fsspec, or what it needs for this kind of URL, is not installed.
        StoreError: If the URL is none that it knows.
    """
    kind = url.partition("://")[0]
    extra = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}.get(kind, "store")
    if importlib.util.find_spec("fsspec") is None:
        raise ToolchainError("fsspec is not installed.", hint=f"pip install 'edgekit[{extra}]'")
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(url)  # type: ignore[no-untyped-call]
    except ImportError as error:
        raise ToolchainError(f"{url}: {error}", hint=f"pip install 'edgekit[{extra}]'") from error
    except ValueError as error:
        raise StoreError(f"{url}: {error}", hint="A folder, s3://BUCKET/PATH or gs://BUCKET/PATH.") from error
    return Remote(url=url.rstrip("/"), system=system, root=str(root).rstrip("/"))


def _when(about: Mapping[str, Any]) -> float:
    for name in _WHEN:
        value = about.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return 0.0

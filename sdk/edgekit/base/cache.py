"""A content-addressed cache on disk: what was made once from the same things is not made again.

An entry is one zip file, ``FOLDER/KIND/KEY.zip``, with the files as they are and a ``metadata.json`` that holds their
digests. Entries appear whole or not at all, so that builds may share the folder; a damaged one counts as missing. The
folder is a convenience: where it cannot be read or written, builds work without it.
"""

import io
import json
import logging
import os
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from edgekit.base import digest
from edgekit.base.sizes import bytes_of
from edgekit.errors import CacheError

Kind = Literal["bundle", "artifact", "float-onnx", "native", "peak", "search", "times"]
"""What an entry is of. What is of no kind named here would neither be counted nor cleared."""
KINDS: tuple[Kind, ...] = get_args(Kind)
DEFAULT_LIMIT = 2_000_000_000
_METADATA = "metadata.json"
_TEMPORARY = ".new-"
_ABANDONED_AFTER_S = 3600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What was stored under a key."""

    files: Mapping[str, bytes]
    """Content by name; names may hold slashes and are not paths of any disk."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is known, as JSON values."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How much there is of one kind."""

    kind: str
    entries: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Where entries are kept, and how many bytes of them."""

    folder: Path
    limit: int = DEFAULT_LIMIT


def from_environment() -> Cache:
    """Return the person's cache: ``$EDGEKIT_CACHE`` or the platform's cache folder, and ``$EDGEKIT_CACHE_SIZE``.

    Raises:
        CacheError: If the size is no size, or there is no home folder.
    """
    found = _of_person()
    if found is None:
        raise CacheError("You have no home folder to keep a cache in.", hint="Set EDGEKIT_CACHE to a folder.")
    return found


def for_builds() -> Cache | None:
    """Return the person's cache as `from_environment` does, or None where there is no home folder to keep it in.

    Raises:
        CacheError: If the size is no size.
    """
    found = _of_person()
    if found is None:
        _log.warning("nothing is kept in a cache: there is no home folder, and EDGEKIT_CACHE is not set")
    return found


def _of_person() -> Cache | None:
    limit = parse_size(os.environ.get("EDGEKIT_CACHE_SIZE", str(DEFAULT_LIMIT)))
    try:
        return Cache(folder=_folder(), limit=limit)
    except RuntimeError:  # there is no home folder
        return None


def parse_size(text: str) -> int:
    """Return the bytes that a text such as ``2GB``, ``500 MB`` or ``1000000`` means.

    Raises:
        CacheError: If it means none.
    """
    found = bytes_of(text)
    if found is None:
        raise CacheError(
            f"EDGEKIT_CACHE_SIZE is {text!r}, which is no size.", hint="Give bytes, or a number with KB, MB or GB: 2GB."
        )
    return found


def get(cache: Cache, kind: Kind, key: str) -> Entry | None:
    """Return an entry, its digests checked, or None; a damaged one is removed."""
    path = _path(cache, kind, key)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("the cache entry %s cannot be read: %s", path, error)
        return None
    try:
        entry = _unpacked(data, kind, key)
    except Exception as error:  # zipfile, zlib, json and what is inside have no common class, and no end of others
        _log.warning("the cache entry %s is damaged and is removed: %s", path, error)
        _remove(path)
        return None
    try:
        os.utime(path)  # when it was last of use: the least recent goes first
    except OSError as error:
        _log.warning("the cache entry %s cannot be touched: %s", path, error)
    return entry


def put(cache: Cache, kind: Kind, key: str, entry: Entry) -> None:
    """Store an entry in one step, and remove the least recently used ones that are over the limit."""
    path, data = _path(cache, kind, key), _packed(entry, kind, key)
    if len(data) > cache.limit:
        _log.warning("%s is larger than the whole cache may be, and is not kept", path)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_TEMPORARY, delete=False) as file:
            try:
                file.write(data)
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                _remove(Path(file.name))
                raise
    except OSError as error:
        _log.warning("nothing is kept in the cache: %s", error)
        return
    _trim(cache)


def show(cache: Cache) -> tuple[Kept, ...]:
    """Return how much there is of each kind."""
    found = list(_entries(cache))
    sizes = {kind: [size for path, size, _ in found if path.parent.name == kind] for kind in KINDS}
    return tuple(Kept(kind=kind, entries=len(of_kind), bytes=sum(of_kind)) for kind, of_kind in sizes.items())


def clear(cache: Cache) -> None:
    """Remove every entry, and nothing that is not one.

    Raises:
        CacheError: If an entry cannot be removed.
    """
    try:
        for path in [path for path, _, _ in _entries(cache)] + _left_behind(cache):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(
            f"{cache.folder} cannot be cleared: {error}", hint="Set EDGEKIT_CACHE to a folder of your own."
        ) from error


def _folder() -> Path:
    if own := os.environ.get("EDGEKIT_CACHE"):
        return Path(own).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "edgekit"
    return Path("~/Library/Caches/edgekit" if sys.platform == "darwin" else "~/.cache/edgekit").expanduser()


def _path(cache: Cache, kind: str, key: str) -> Path:
    return cache.folder / kind / f"{key}.zip"


def _packed(entry: Entry, kind: str, key: str) -> bytes:
    metadata = {
        "kind": kind,
        "key": key,
        "files": {name: digest.of_bytes(data) for name, data in entry.files.items()},
        "facts": dict(entry.facts),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(_METADATA, json.dumps({**metadata, "sha256": digest.of_json(metadata)}))
        for number, data in enumerate(entry.files.values()):
            archive.writestr(str(number), data)
    return buffer.getvalue()


def _unpacked(data: bytes, kind: str, key: str) -> Entry:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos) or sum(i.file_size for i in infos) > len(
            data
        ):
            raise ValueError("it holds more than it has bytes")
        metadata = json.loads(archive.read(_METADATA))
        claimed = metadata.pop("sha256")
        if claimed != digest.of_json(metadata) or (metadata["kind"], metadata["key"]) != (kind, key):
            raise ValueError("its metadata was changed")
        files = {name: archive.read(str(number)) for number, name in enumerate(metadata["files"])}
    if changed := [name for name, content in files.items() if digest.of_bytes(content) != metadata["files"][name]]:
        raise ValueError(f"{', '.join(changed)} was changed")
    if not isinstance(metadata["facts"], dict):
        raise TypeError("its facts are none")
    return Entry(files=files, facts=metadata["facts"])


def _entries(cache: Cache) -> Iterator[tuple[Path, int, float]]:
    """Yield path, bytes and time of the last use of every entry."""
    for kind in KINDS:
        try:
            paths = list((cache.folder / kind).glob("*.zip"))
        except OSError:
            continue
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue  # another build has removed it
            if re.fullmatch(r"[0-9a-f]{64}\.zip", path.name):
                yield path, status.st_size, status.st_mtime


def _trim(cache: Cache) -> None:
    for path in _left_behind(cache):
        _remove(path)
    entries = sorted(_entries(cache), key=lambda entry: entry[2], reverse=True)
    total = 0
    for path, size, _ in entries:
        total += size
        if total > cache.limit:
            _remove(path)


def _left_behind(cache: Cache) -> list[Path]:
    """Return the temporary files of builds that were killed."""
    long_ago = time.time() - _ABANDONED_AFTER_S
    found = []
    for path in (path for kind in KINDS for path in (cache.folder / kind).glob(f"{_TEMPORARY}*")):
        try:
            if path.stat().st_mtime < long_ago:
                found.append(path)
        except OSError:
            continue
    return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed from the cache: %s", path, error)

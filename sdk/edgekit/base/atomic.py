"""Replace a folder in one step: whoever looks sees the old one whole or the new one whole."""

import ctypes
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from edgekit.base import lock
from edgekit.errors import BundleError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # <linux/fs.h>
_RENAME_SWAP = 2  # <sys/stdio.h> of macOS
# Nobody else gives such a name. What stands before it is cut, so that a name of 255 bytes leaves room for it.
_ENDING = "edgekit-new"
_UNFINISHED = re.compile(rf"\..*\.[0-9a-f]{{16}}\.{_ENDING}", re.DOTALL)
_LONGEST = 200


def replace_folder(
    folder: Path,
    files: Mapping[str, bytes],
    check: Callable[[Path], None] | None = None,
    *,
    executable: Collection[str] = (),
) -> None:
    """Write ``files`` (relative path to content) as the whole content of ``folder``.

    The files are written, synced and read back beside the folder, then the two are exchanged by one system call on
    Linux and macOS. Elsewhere the old folder is moved aside first, and for a moment there is none. One writes
    at a time.

    Args:
        folder: The folder; where it is a link, what the link leads to is replaced.
        files: Its content.
        check: Raises an error if the folder may not be replaced; called when nobody else writes there.
        executable: Which of the files a system starts or loads.

    Raises:
        BundleError: If the folder cannot be written.
    """
    try:
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock.held(folder.parent) as alone:
            if alone:
                sweep(folder)
            if check is not None:
                check(folder)
            fresh = unfinished(folder)
            fresh.mkdir()
            try:
                for name, data in files.items():
                    _write_synced(fresh / name, data)
                    if name in executable:
                        (fresh / name).chmod((fresh / name).stat().st_mode | 0o111)
                _swap(fresh, folder)
                _sync_folder(folder.parent)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write one file as `put_file` does.

    Raises:
        BundleError: If it cannot be written.
    """
    try:
        put_file(path, data)
    except OSError as error:
        raise _unwritable(path, error) from error


def put_file(path: Path, data: bytes) -> None:
    """Write one file in one step; where it is a link, what the link leads to.

    Raises:
        OSError: If it cannot be written.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = unfinished(path)
    try:
        _write_synced(fresh, data)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Make a folder if there is none, and try to write into it.

    Raises:
        BundleError: If that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def sweep(path: Path) -> None:
    """Remove what writers of a file or folder who were killed have left beside it.

    Only who holds the lock of the folder that it lies in may do that: nobody else writes it then.
    """
    for left in path.parent.iterdir():
        if left.name.startswith(_start(path)) and is_unfinished(left.name):
            remove(left)


def remove(path: Path) -> None:
    """Remove a file, or a folder with what is in it, as far as that can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_unfinished(name: str) -> bool:
    """Whether a name is that of a file or folder that a writer who was killed has left."""
    return _UNFINISHED.fullmatch(name) is not None


def unfinished(path: Path) -> Path:
    """Return a new name beside a path for what will take its place; no other writer gives it, on whatever machine."""
    return path.with_name(f"{_start(path)}{secrets.token_hex(8)}.{_ENDING}")


def _start(path: Path) -> str:
    return f".{path.name.encode()[:_LONGEST].decode(errors='ignore')}."


def _unwritable(folder: Path, error: OSError) -> BundleError:
    return BundleError(
        f"{folder} cannot be written: {error.strerror or error}.",
        hint="Choose another folder with --output, or free some space.",
    )


def _write_synced(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if path.read_bytes() != data:
        raise OSError(f"{path.name} is not read back as it was written")


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    if not _exchange(fresh, folder):
        aside = unfinished(folder)
        folder.rename(aside)
        fresh.rename(folder)
        shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths atomically; False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        return bool(libc.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, _RENAME_EXCHANGE) == 0)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return bool(libc.renamex_np(a, b, _RENAME_SWAP) == 0)
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

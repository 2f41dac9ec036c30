"""The kit: an emulator, a compiler and the runtimes' libraries for 64-bit ARM, in the person's cache."""

import shutil
from pathlib import Path

from edgekit.base import cache as caches
from edgekit.base.cache import Kept
from edgekit.base.versions import installed
from edgekit.errors import CacheError, ToolchainError
from edgekit.spec import Format

# What is in it decides its name: another version of a runtime has another kit.
_NAME = "arm64-kit"
COMPLETE = "complete"
SYSROOT = "usr/aarch64-linux-gnu"
EMULATOR = "usr/bin/qemu-aarch64"
LIBRARIES = {Format.PTE: "executorch/lib", Format.ONNX: "onnxruntime/capi"}
_HEADERS = ("usr/include/onnxruntime", "usr/include/onnxruntime/core/session")


def place() -> Path | None:
    """Return where the kit lies, or would; None where the person has no cache."""
    cache = caches.for_builds()
    versions = "-".join(installed("executorch", "onnxruntime").values())
    return None if cache is None else cache.folder / f"{_NAME}-{versions}"


def folder() -> Path | None:
    """Return the kit's folder, or None if it is not set up."""
    found = place()
    return found if found is not None and (found / COMPLETE).is_file() else None


def kept() -> Kept | None:
    """Return how many kits there are, of this and of other versions, and their size; None if there is none."""
    found = _kits()
    if not found:
        return None
    files = [file for one in found for file in one.rglob("*") if file.is_file() and not file.is_symlink()]
    return Kept(kind=_NAME, entries=len(found), bytes=sum(file.stat().st_size for file in files))


def remove() -> None:
    """Remove the kits of all versions, and what a set-up that died left behind.

    Raises:
        CacheError: If one cannot be removed.
    """
    for one in _kits():
        try:
            shutil.rmtree(one)
        except OSError as error:
            raise CacheError(f"{one} cannot be removed: {error}", hint="Remove the folder yourself.") from error


def _kits() -> list[Path]:
    cache = caches.for_builds()
    found = [] if cache is None or not cache.folder.is_dir() else sorted(cache.folder.glob(f"{_NAME}-*"))
    return [one for one in found if one.is_dir() and not one.is_symlink()]


def libraries(format: Format) -> Path:
    """Return where the kit has a runtime's libraries.

    Raises:
        ToolchainError: If it is not set up.
    """
    found = folder()
    if found is None:
        raise ToolchainError(
            "The runtimes' libraries for arm64 are not on this machine.",
            hint="Set them up once, in your cache and without root: edgekit verify --setup",
        )
    return found / LIBRARIES[format]


def headers() -> tuple[Path, ...]:
    """Return folders of the kit that may have ONNX Runtime's C header."""
    found = folder()
    return () if found is None else tuple(found / name for name in _HEADERS)

"""``native/native.json``: what is in the folder beside a bundle's files that runs without Python."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edgekit.base import digest
from edgekit.base.values import RelativePath, Sha256
from edgekit.bundles.manifest import Count
from edgekit.errors import BundleError
from edgekit.spec import Cpu, Format, Spec

NATIVE_FOLDER = "native"
NATIVE_FILE = f"{NATIVE_FOLDER}/native.json"
_LARGEST = 2**24


class Native(Spec):
    """The native folder of a bundle."""

    schema_version: Literal[1] = 1
    """Version of this contract."""
    manifest_sha256: Sha256
    """Digest of the manifest of the bundle that it was made for."""
    format: Format
    """The artifact that it runs."""
    cpu: Cpu
    """The processor that it runs on."""
    runtime: str
    """Name and version of the runtime whose libraries it holds."""
    compiler: str
    """What the program was compiled with."""
    pictures: tuple[str, ...]
    """Kinds of pictures that it reads; none where the model takes none."""
    files: dict[RelativePath, Sha256]
    """Digests of its files, by path within it."""
    bytes: Count
    """Size of its files together."""

    def to_json(self) -> str:
        """Return the text of the file; the same values give the same text."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def read(folder: Path) -> Native | None:
    """Return what a bundle's native folder says of itself; None if there is none.

    Args:
        folder: The bundle.

    Raises:
        BundleError: If it says nothing that this version reads.
    """
    path = folder / NATIVE_FILE
    try:
        if not path.is_file():
            return None
        text = path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= _LARGEST else ""
        return Native.model_validate_json(text)
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise BundleError(
            f"{path} says nothing that this version reads: {reason}.", hint="Build the bundle again with --native."
        ) from error


def own(folder: Path) -> frozenset[str]:
    """Return the paths within a bundle of all files of its native folder; none if it is none, or damaged."""
    try:
        found = read(folder)
    except BundleError:
        return frozenset()
    return (
        frozenset() if found is None else frozenset((NATIVE_FILE, *(f"{NATIVE_FOLDER}/{one}" for one in found.files)))
    )


def faults(folder: Path) -> list[str]:
    """Return a line for each file of a bundle's native folder that is missing or was changed.

    Raises:
        BundleError: If it says nothing of itself that this version reads.
    """
    found = read(folder)
    return [] if found is None else list(_faults(folder / NATIVE_FOLDER, found.files))


def _faults(folder: Path, files: Mapping[str, str]) -> list[str]:
    wrong = []
    for name, sha256 in files.items():
        try:
            if digest.of_file(folder / name) != sha256:
                wrong.append(f"{NATIVE_FOLDER}/{name} was changed")
        except OSError as error:
            wrong.append(f"{NATIVE_FOLDER}/{name} cannot be read: {error.strerror or error}")
    return wrong

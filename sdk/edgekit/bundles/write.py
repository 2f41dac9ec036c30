"""Write a bundle, or what was measured of it, in one step: a build that dies leaves the previous bundle whole."""

from collections.abc import Mapping
from pathlib import Path

from edgekit.base import digest, lock
from edgekit.base.atomic import check_writable, replace_file, replace_folder
from edgekit.bundles import native
from edgekit.bundles.contents import ADDED, PAGE_FILE
from edgekit.bundles.manifest import MANIFEST_FILE
from edgekit.bundles.own import foreign
from edgekit.errors import BundleError

_NAMED = 5


def check_place(folder: Path) -> None:
    """Make sure that a bundle can be written to a folder, before the work that leads up to it.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    _check_replaceable(folder)
    check_writable(folder.resolve().parent)


def write(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write a bundle in one step; a build that dies leaves the previous one whole, one that is the same is left.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    check_place(folder)
    if not _holds(folder, content):
        replace_folder(folder, content, _check_replaceable)


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace what is no bundle by its own manifest, or a bundle that something else lies in."""
    hint = "Choose another folder with --output, or move it away."
    try:
        if folder.is_symlink() and not folder.exists():
            raise BundleError(f"{folder} is a link that leads nowhere.", hint=hint)
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        others = foreign(folder) if folder.is_dir() else None
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror or error}.", hint=hint) from error
    if others is None:
        raise BundleError(f"{folder} holds something that is no bundle, and is left alone.", hint=hint)
    if others:
        named = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
        raise BundleError(
            f"{folder} is left alone: beside a bundle there is {named}.",
            hint="Move that elsewhere: a build replaces the whole folder. Or choose another folder with --output.",
        )


def add(folder: Path, file: str, text: str, page: str | None, manifest_sha256: str) -> Path:
    """Write what was measured of a bundle, and the page with it, into its folder; another build takes both away.

    Args:
        folder: The bundle.
        file: One of the files that a bundle may hold beside its own.
        text: What is in it.
        page: The text of the page that shows it; None leaves the page as it is.
        manifest_sha256: Digest of the manifest of the build that was measured.

    Raises:
        BundleError: If a file cannot be written, or another build has taken the bundle's place meanwhile.
    """
    try:
        with lock.held(folder.resolve().parent):
            if digest.of_file(folder / MANIFEST_FILE) != manifest_sha256:
                raise BundleError(f"{folder} was built anew meanwhile.", hint="Measure it again.")
            replace_file(folder / file, text.encode())
            if page is not None:
                replace_file(folder / PAGE_FILE, page.encode())
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror or error}.", hint="Build it again.") from error
    return folder / file


def _holds(folder: Path, content: Mapping[str, bytes]) -> bool:
    """Whether a folder holds these files, and beside them none but those that were added later, and their page."""
    try:
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
        added = found.keys() & (set(ADDED) | native.own(folder))
        own = content.keys() - ({PAGE_FILE} if added & set(ADDED) else set())
        return found.keys() - added == content.keys() and all(found[name].read_bytes() == content[name] for name in own)
    except OSError:
        return False

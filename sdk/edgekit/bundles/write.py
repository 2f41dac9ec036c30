"""Write a bundle, or what was measured of it, in one step: a build that dies leaves the previous bundle whole."""

from collections.abc import Mapping
from pathlib import Path

from edgekit.base.atomic import check_writable, replace_file, replace_folder
from edgekit.bundles.contents import ADDED, PAGE_FILE
from edgekit.bundles.manifest import MANIFEST_FILE
from edgekit.errors import BundleError


def check_place(folder: Path) -> None:
    """Make sure that a bundle can be written to a folder, before the work that leads up to it.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    if folder.exists() and not (folder / MANIFEST_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(
            f"{folder} holds something that is no bundle, and is left alone.",
            hint="Choose another folder with --output.",
        )
    check_writable(folder.parent)


def write(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write a bundle in one step; a build that dies leaves the previous one whole, one that is the same is left.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    check_place(folder)
    if not _holds(folder, content):
        replace_folder(folder, content)


def add(folder: Path, file: str, text: str, page: str) -> Path:
    """Write what was measured of a bundle, and the page with it, into its folder; another build takes both away.

    Args:
        folder: The bundle.
        file: One of the files that a bundle may hold beside its own.
        text: What is in it.
        page: The text of the page that shows it.

    Raises:
        BundleError: If a file cannot be written.
    """
    replace_file(folder / file, text.encode())
    replace_file(folder / PAGE_FILE, page.encode())
    return folder / file


def _holds(folder: Path, content: Mapping[str, bytes]) -> bool:
    """Whether a folder holds these files, and beside them none but those of `ADDED` and their page."""
    try:
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
        added = found.keys() & set(ADDED)
        own = content.keys() - ({PAGE_FILE} if added else set())
        return found.keys() - added == content.keys() and all(found[name].read_bytes() == content[name] for name in own)
    except OSError:
        return False

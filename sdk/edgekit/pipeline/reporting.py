"""Pages for people: that of one bundle, and one of many bundles."""

import os
from collections.abc import Sequence
from pathlib import Path

from edgekit.base import atomic
from edgekit.bundles.compare import read_side
from edgekit.bundles.contents import PAGE_FILE
from edgekit.bundles.manifest import MANIFEST_FILE
from edgekit.errors import BundleError
from edgekit.render.page import many

DEFAULT_FOLDER = Path("artifacts")
"""Where builds put their bundles unless another folder is given."""


def newest(roots: Sequence[Path]) -> Path:
    """Return the bundle that was written last, below the folders of artifacts in some places.

    Raises:
        BundleError: If there is none.
    """
    found = {file for root in roots for file in (root / DEFAULT_FOLDER).glob(f"*/*/{MANIFEST_FILE}")}
    if not found:
        raise BundleError(
            f"There is no bundle in {' or '.join(str(root / DEFAULT_FOLDER) for root in roots)}.",
            hint="Build one, or name its folder: edgekit report FOLDER",
        )
    return max(found, key=lambda file: (file.stat().st_mtime, str(file))).parent


def report(bundles: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Return where the page of a bundle is, or write one page of several.

    Args:
        bundles: Folders of bundles, or files ``report.json`` of them.
        output: The page to write; of a single bundle that has a page nothing need be written.

    Raises:
        BundleError: If there is no bundle, or it is damaged, or has no page.
    """
    paths = [Path(one) for one in bundles]
    if not paths:
        raise BundleError("No bundle was named.", hint="Name one folder or several.")
    if len(paths) == 1 and output is None:
        return _own_page(paths[0])
    if output is None:
        raise BundleError("One page of several bundles needs a file.", hint="Give output, --output PAGE.html.")
    place = Path(output)
    sides = [read_side(path) for path in paths]
    atomic.replace_file(place, many.of_bundles(sides, [_link(path, place) for path in paths]).encode())
    return place


def _own_page(path: Path) -> Path:
    read_side(path)  # what is no bundle is said to be none
    page = path / PAGE_FILE
    if not page.is_file():
        raise BundleError(
            f"{path} has no {PAGE_FILE}.", hint="Build it again, or write a page with --output PAGE.html."
        )
    return page


def _link(path: Path, place: Path) -> str | None:
    """Return the link from a page to the page of a bundle."""
    page = path / PAGE_FILE
    if not page.is_file():
        return None
    try:
        return Path(os.path.relpath(page.resolve(), place.resolve().parent)).as_posix()
    except ValueError:  # on another drive
        return page.resolve().as_uri()

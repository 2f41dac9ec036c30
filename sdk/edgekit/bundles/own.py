"""What of a folder is a bundle's own: only such folders are ever replaced or removed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.base.atomic import is_unfinished
from edgekit.bundles import native
from edgekit.bundles.contents import ADDED, PAGE_FILE, REPORT_FILE
from edgekit.bundles.drawn import GRAPH_FILE
from edgekit.bundles.manifest import MANIFEST_FILE

# What file managers leave wherever somebody looks.
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}


def named_in(text: str) -> frozenset[str] | None:
    """Return the files that a manifest of any version names, and those that lie beside it; None: it is no manifest."""
    try:
        found = json.loads(text)
        if not isinstance(found["schema_version"], int) or not found["artifacts"]:
            return None
        return frozenset((MANIFEST_FILE, REPORT_FILE, PAGE_FILE, GRAPH_FILE, *ADDED, *_files(found)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def foreign(folder: Path) -> tuple[str, ...] | None:
    """Return what lies in a folder that is not of the bundle in it; None: there is no bundle in it.

    Raises:
        OSError: If the folder cannot be read.
    """
    manifest = folder / MANIFEST_FILE
    if not manifest.is_file() or manifest.is_symlink():
        return None
    own = named_in(manifest.read_text(encoding="utf-8", errors="replace"))
    return None if own is None else beside(folder, own | native.own(folder))


def beside(folder: Path, own: frozenset[str]) -> tuple[str, ...]:
    """Return what lies in a folder beside some files of it: other files, links, and folders that none of them are in.

    Raises:
        OSError: If the folder cannot be read.
    """
    folders = {parent.as_posix() for name in own for parent in Path(name).parents}
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        expected = folders if path.is_dir() and not path.is_symlink() else own
        if (name not in expected and path.name not in _LITTER and not is_unfinished(path.name)) or path.is_symlink():
            found.append(name)
    return tuple(sorted(found))


def _files(manifest: dict[str, Any]) -> Iterator[str]:
    for artifact in manifest["artifacts"]:
        yield str(artifact["file"])
        on_chip = artifact.get("on_chip") or {}
        for one in (*on_chip.get("compiled", ()), *on_chip.get("page", ())):
            yield str(one["file"])
    if manifest.get("text") is not None:
        yield str(manifest["text"]["file"])
    for golden in manifest.get("golden", ()):
        for tensor in (*golden["inputs"], *golden["outputs"]):
            yield str(tensor["file"])

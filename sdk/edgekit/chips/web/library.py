"""Where Node.js and the library of the web lie on this machine: where Node.js itself would look."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgekit.base import requirements, tools

PACKAGE = "onnxruntime-web"
"""The package, as npm and the profiles name it."""
_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Library:
    """The library, with what runs it."""

    node: str
    """The program of Node.js."""
    node_version: str
    folder: Path
    """The folder of the package."""


def find(version: str) -> Library | str:
    """Return the library of a version, or why it cannot be used, with the command that mends it.

    Looked into are ``node_modules`` of the working directory and of the folders above it, then npm's own for all.
    """
    tool = next(item for item in tools.wanted(sys.platform) if item.name == tools.NODE)
    node, found = shutil.which(tool.command[0]), tools.find(tool)
    if node is None or found is None:
        return f"Node.js is not installed: {tool.remedy}"
    if tool.least is not None and requirements.release(found) < tool.least:
        return f"Node.js {found} is too old, {'.'.join(map(str, tool.least))} or newer is needed: {tool.remedy}"
    command = f"npm install {PACKAGE}@{version}"
    here = Path.cwd()
    near = next((there for one in (here, *here.parents) if (there := one / "node_modules" / PACKAGE).is_dir()), None)
    folder = near or _shared()
    if folder is None:
        return f"{PACKAGE} {version} is not installed: {command}"
    other = _version(folder)
    if other != version:
        return f"{folder} is of version {other}, the target pins {version}: {command}"
    return Library(node=node, node_version=found, folder=folder)


def _shared() -> Path | None:
    """Return the package in the folder that ``npm install --global`` fills."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - no word of it is somebody else's
            [npm, "root", "--global"], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    folder = Path(done.stdout.strip()) / PACKAGE
    return folder if folder.is_dir() else None


def _version(folder: Path) -> str:
    try:
        return str(json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"

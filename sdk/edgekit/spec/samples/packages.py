"""Packages that samples take weights and data from: their files, and how to get what is missing."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.base import digest
from edgekit.errors import ToolchainError


@dataclass(frozen=True)
class Package:
    """A package, by its name on the index and the name that it is imported by."""

    name: str
    module: str
    version: str = ""
    """The one version whose files are known."""
    alone: bool = False
    """Whether it is installed without what it depends on, which no sample needs."""


@dataclass(frozen=True)
class Shipped:
    """A file that a package ships."""

    package: Package
    path: str
    """Relative to the package's folder."""
    sha256: str = ""

    def find(self) -> Path:
        """Return the file, after checking that it is the one that is known.

        Raises:
            ToolchainError: If it is not there, or another one.
        """
        folder, again = _folder_of(self.package), _command((self.package,), again=True)
        path = None if folder is None else folder / self.path
        if path is None or not path.is_file():
            raise ToolchainError(
                f"{self.package.name} is installed, but without {self.path}.",
                hint=again,
            )
        if self.sha256 and digest.of_file(path) != self.sha256:
            raise ToolchainError(f"{path} is not the file that is known.", hint=again)
        return path


def require(packages: Sequence[Package], what: str) -> None:
    """Check that packages are installed.

    Raises:
        ToolchainError: If one is not; the hint is the command that installs all that are missing.
    """
    missing = tuple(package for package in packages if _folder_of(package) is None)
    if missing:
        names = ", ".join(package.name for package in missing)
        verb = "is" if len(missing) == 1 else "are"
        raise ToolchainError(f"{what} needs {names}, which {verb} not installed.", hint=_command(missing))


def _folder_of(package: Package) -> Path | None:
    """Return a package's folder without importing it, or None."""
    try:
        found = importlib.util.find_spec(package.module)
    except (ImportError, ValueError):
        return None
    return None if found is None or found.origin is None else Path(found.origin).parent


def _command(packages: Sequence[Package], again: bool = False) -> str:
    """Return what installs packages: at most two commands, as some want to come alone."""
    parts = []
    for alone in (False, True):
        wanted = [f"{one.name}=={one.version}" if one.version else one.name for one in packages if one.alone is alone]
        if wanted:
            options = ("--force-reinstall " if again else "") + ("--no-deps " if alone or again else "")
            parts.append(f"pip install {options}{' '.join(wanted)}")
    return f"Run: {' && '.join(parts)}"

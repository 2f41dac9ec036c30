"""What dropping a bundle works on, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.spec import Platform

BUNDLES = "edgekit"
"""The folder of bundles among an app's assets or resources."""
POINTER_FILE = "bundle.json"
"""Says in that folder which bundle counts."""


@dataclass(frozen=True, kw_only=True)
class App:
    """An app's project, as it lies on disk."""

    root: Path
    """The folder that was given."""
    platform: Platform
    """What it is built for."""
    place: Path
    """Where its bundles lie: an ``edgekit`` folder in the assets or resources."""
    pins: Path | None
    """The file that holds the versions of its runtimes: a version catalog or a ``Package.swift``; None if none does."""
    build_files: tuple[Path, ...]
    """The files that may name the runtimes where no catalog does."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """The version of one runtime in the file that holds it."""

    runtime: str
    """As the target profile names it."""
    key: str
    """What the file calls it."""
    before: str | None
    """The version that stood there; None if none did."""
    after: str
    """The version that stands there now."""

    @property
    def changed(self) -> bool:
        """Whether the file was changed."""
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A bundle in an app."""

    bundle: Path
    """The folder that was copied."""
    target: str
    chip: str
    """What computes: ``cpu``, or a chip's name."""
    socs: tuple[str, ...]
    """Systems on a chip that it is for; none: any."""
    verdict: str
    folder: Path
    """Where the bundle lies in the app now."""
    manifest_sha256: str
    files: tuple[tuple[str, int], ...]
    """Path within the folder and bytes of every file, each read back and compared with its digest."""
    copied: bool
    """False if the app had this very bundle already."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """What a drop did."""

    app: App
    model: str
    fallback: Placed
    """The bundle that every device can run."""
    chips: tuple[Placed, ...] = ()
    """Those beside it, for chips."""
    switched: bool
    """Whether the app loads other bundles now than before."""
    removed: tuple[str, ...]
    """Folders of bundles that were there before."""
    pins: tuple[Pin, ...]
    notes: tuple[str, ...]
    """What a person has to do or to know."""

    @property
    def bundles(self) -> tuple[Placed, ...]:
        """All that the app has now, the fallback first."""
        return (self.fallback, *self.chips)

    @property
    def folder(self) -> Path:
        """Where the bundle lies that every device can run."""
        return self.fallback.folder

    @property
    def copied(self) -> bool:
        """False if the app had these very bundles already."""
        return self.switched or any(one.copied for one in self.bundles)

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.copied or bool(self.removed) or any(pin.changed for pin in self.pins)

"""What a build hands back: one `Built` per target. Values only, rendered by ``render`` as a table or as JSON."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Built:
    """A bundle on disk and what is inside."""

    folder: Path
    manifest: Manifest

    @property
    def passed(self) -> bool:
        """Whether drift and sizes are within their limits."""
        return self.manifest.verdict == "passed"


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The bundles of one build, in the order of the targets asked for, and the seconds that each stage took."""

    bundles: tuple[Built, ...]
    seconds: tuple[tuple[str, float], ...]

    @property
    def passed(self) -> bool:
        """Whether every bundle is within its limits."""
        return all(bundle.passed for bundle in self.bundles)

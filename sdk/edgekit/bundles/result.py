"""What a build hands back: one `Built` per target. Values only, rendered by ``render`` as a table or as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.bundles.manifest import Manifest
from edgekit.bundles.native import Native


@dataclass(frozen=True, kw_only=True)
class Built:
    """A bundle on disk and what is inside."""

    folder: Path
    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    """Content of the bundle's files, by path within the folder."""
    cached: bool = False
    """Whether the whole bundle came from the cache."""

    @property
    def passed(self) -> bool:
        """Whether drift and sizes are within their limits."""
        return self.manifest.verdict == "passed"


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The bundles of one build, in the order of the targets asked for, and the seconds that each stage took."""

    bundles: tuple[Built, ...]
    seconds: tuple[tuple[str, float], ...]
    cached: tuple[str, ...] = ()
    """Those of the stages whose outcome came from the cache."""
    native: Mapping[str, Native] = field(default_factory=dict)
    """The native folders that were added, by target."""

    @property
    def passed(self) -> bool:
        """Whether every bundle is within its limits."""
        return all(bundle.passed for bundle in self.bundles)

"""What a build hands back: one `Built` per target. Values only, rendered by ``render`` as a table or as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.bundles.manifest import Manifest
from edgekit.bundles.native import Native
from edgekit.errors import EdgeKitError
from edgekit.model.layers import Sensitivities


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
class NotBuilt:
    """A target of several that has no bundle."""

    target: str
    error: EdgeKitError
    """Why not, with the way out."""
    failed: bool
    """Whether that is a failure; otherwise all targets were asked for, and this one is not to be had."""


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The bundles of one build, in the order of the targets asked for, and the seconds that each stage took."""

    bundles: tuple[Built, ...]
    seconds: tuple[tuple[str, float], ...]
    cached: tuple[str, ...] = ()
    """Those of the stages whose outcome came from the cache."""
    native: Mapping[str, Native] = field(default_factory=dict)
    """The native folders that were added, by target."""
    native_peaks: Mapping[str, int] = field(default_factory=dict)
    """Peak memory of their programs, in bytes, by target, where this host ran them."""
    ranking: Sensitivities | None = None
    """What each layer costs, where quantization takes a target over its budget and no fallback was asked for."""
    not_built: tuple[NotBuilt, ...] = ()
    """The targets that have no bundle, while others have."""

    def beside(self, left_out: Mapping[str, EdgeKitError]) -> "BuildResult":
        """Return the same with targets that were left out of all of them, each with the reason."""
        more = (NotBuilt(target=name, error=error, failed=False) for name, error in left_out.items())
        return replace(self, not_built=(*self.not_built, *more))

    @property
    def passed(self) -> bool:
        """Whether every bundle is within its limits, and none is missing that should be there."""
        return all(bundle.passed for bundle in self.bundles) and not any(one.failed for one in self.not_built)

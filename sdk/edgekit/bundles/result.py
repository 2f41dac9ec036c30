"""What a build hands back: one `Built` per target. Values only, rendered by ``render`` as a table or as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from textwrap import shorten

from edgekit.base.numbers import kilobytes
from edgekit.bundles import verdict
from edgekit.bundles.contents import PAGE_FILE
from edgekit.bundles.manifest import Manifest
from edgekit.bundles.native import Native
from edgekit.errors import EdgeKitError, ProjectError
from edgekit.model.layers import Sensitivities

# Of a reason in one line, in characters.
_LONGEST = 120


@dataclass(frozen=True, kw_only=True, repr=False)
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

    @property
    def failures(self) -> tuple[str, ...]:
        """What drift or sizes break, and formats that were not built, a sentence each; none where it passed."""
        return tuple(verdict.of_manifest(self.manifest))

    def __repr__(self) -> str:
        """Return one line."""
        files = ", ".join(f"{item.file} {kilobytes(item.bytes)}" for item in self.manifest.artifacts)
        first, *more = self.failures or ("",)
        why = f" ({shorten(first, _LONGEST)}{f', and {len(more)} more' if more else ''})" if first else ""
        return f"<{self.manifest.model.name} for {self.manifest.target.name}: {self.manifest.verdict}{why}, {files}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return BuildResult(bundles=(self,), seconds=())._repr_html_()


@dataclass(frozen=True, kw_only=True)
class NotBuilt:
    """A target of several that has no bundle."""

    target: str
    error: EdgeKitError
    """Why not, with the way out."""
    failed: bool
    """Whether that is a failure; otherwise all targets were asked for, and this one is not to be had."""


@dataclass(frozen=True, kw_only=True, repr=False)
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
    peaks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Peak memory of the artifacts, in bytes, by target and file, as far as it was measured on this host: growth of a
    fresh process in loading the file and running one sample."""
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

    @property
    def failures(self) -> tuple[str, ...]:
        """Why it did not pass, a sentence each, with the target in front; none where it did."""
        broken = [f"{one.manifest.target.name}: {line}" for one in self.bundles for line in one.failures]
        lacking = [f"{one.target} was not built: {one.error.message}" for one in self.not_built if one.failed]
        return (*lacking, *broken)

    def __repr__(self) -> str:
        """Return one line."""
        lacking = [f"<{one.target}: not built>" for one in self.not_built]
        return f"<build: {', '.join((*map(repr, self.bundles), *lacking)) or 'nothing'}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a row for each file, and where the bundles' pages are."""
        rows: list[tuple[str, ...]] = [
            (
                one.manifest.target.name,
                item.file,
                str(item.quantization),
                kilobytes(item.bytes),
                one.manifest.verdict,
            )
            for one in self.bundles
            for item in one.manifest.artifacts
        ]
        rows += [(one.target, "", "", "", "not built") for one in self.not_built]
        head = "".join(f"<th>{title}</th>" for title in ("target", "file", "scheme", "size", "verdict"))
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        pages = "".join(f"<p><code>{escape(str(one.folder / PAGE_FILE))}</code></p>" for one in self.bundles)
        failures = "".join(f"<li>{escape(line)}</li>" for line in self.failures)
        reasons = f"<ul>{failures}</ul>" if failures else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{reasons}{pages}"


Bundle = str | Path | Built | BuildResult
"""A bundle's folder, a bundle that was built, or a build."""


def folders_of(bundle: Bundle) -> tuple[Path, ...]:
    """Return the folder of a bundle, or those of all bundles of a build.

    Raises:
        ProjectError: If it is something else.
    """
    match bundle:
        case BuildResult():
            return tuple(one.folder for one in bundle.bundles)
        case Built():
            return (bundle.folder,)
        case str() | Path():
            return (Path(bundle),)
        case _:
            raise ProjectError(
                f"bundle is a {type(bundle).__name__}.", hint="It takes a folder's path, or what a build handed back."
            )


def folder_of(bundle: Bundle) -> Path:
    """Return the folder of the one bundle.

    Raises:
        ProjectError: If a build has several bundles, or none.
    """
    folders = folders_of(bundle)
    if len(folders) != 1:
        raise ProjectError(
            f"The build has {len(folders)} bundles, and one is needed.", hint="Take one of result.bundles."
        )
    return folders[0]

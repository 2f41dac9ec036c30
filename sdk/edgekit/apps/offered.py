"""The bundles that a drop is of: read, and held against the app and against each other, before anything is written."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from edgekit import bundles, targets
from edgekit.apps.values import App
from edgekit.base import digest
from edgekit.bundles.manifest import MANIFEST_FILE, Manifest
from edgekit.errors import BundleError, OverBudgetError
from edgekit.spec import CPU_CHIP, Platform
from edgekit.spec.find import find as find_project
from edgekit.targets.runtimes import check

DEFAULT_TARGETS = {Platform.ANDROID: "android-arm64", Platform.IOS: "ios-arm64"}
# What an app feeds and shows is the same, whichever of its bundles it has chosen.
_SAME = ("model", "inputs", "outputs", "labels", "preprocessing", "audio", "text", "postprocessing")


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A bundle that an app may have."""

    source: Path
    manifest: Manifest
    sha256: str
    """Digest of the manifest."""
    notes: tuple[str, ...]
    """What a person has to know of it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files that an app needs of it."""
        return (*dict(bundles.files(self.manifest)), MANIFEST_FILE)


def built(app: App, wanted: Sequence[str], folder: str | Path | None) -> tuple[Path, ...]:
    """Return where the project's bundles lie; the one for the platform's CPU is among them.

    Args:
        app: The app.
        wanted: Targets; none: the platform's CPU alone.
        folder: The project's folder; this one unless given.

    Raises:
        BundleError: If one was not built.
        TargetError: If there is no such target.
    """
    profiles = [targets.load(name) for name in wanted]
    names = [profile.name for profile in profiles]
    if all(profile.chip.name != CPU_CHIP for profile in profiles):
        names = [DEFAULT_TARGETS[app.platform], *names]
    model = find_project(None if folder is None else Path(folder), strict=False).spec.model.name
    places = [Path("artifacts") / model / name for name in dict.fromkeys(names)]
    if missing := [place for place in places if not (place / MANIFEST_FILE).is_file()]:
        asked = " ".join(f"--target {shlex.quote(place.name)}" for place in missing)
        project = "" if folder is None else f" --project {shlex.quote(str(folder))}"
        raise BundleError(
            f"There is no bundle at {', none at '.join(map(str, missing))}.",
            hint=f"Build it: edgekit build {asked}{project}. Or give one with --bundle FOLDER.",
        )
    return tuple(places)


def offered(sources: Iterable[Path], app: App, wanted: Sequence[str], *, force: bool) -> tuple[Offered, ...]:
    """Read bundles, and refuse those that the app had better not have.

    Args:
        sources: Their folders.
        app: The app.
        wanted: Targets that they must be for; none: any.
        force: Take those whose verdict is failed, too.

    Returns:
        The bundle that every device can run, then those for chips.

    Raises:
        BundleError: If one is missing, damaged or for another platform, or they do not belong together.
        CompatibilityError: If an artifact needs what the runtime lacks that the app would link.
        OverBudgetError: If a bundle's verdict is failed.
    """
    found = [_read(source, app, wanted, force=force) for source in sources]
    everywhere = [one for one in found if one.manifest.target.chip == CPU_CHIP]
    if not everywhere:
        first = found[0]
        default = DEFAULT_TARGETS[app.platform]
        raise BundleError(
            f"{first.source} is for {_place(first)} alone: other devices would have nothing to run.",
            hint=f"Give the bundle for the CPU beside it: --bundle {shlex.quote(str(first.source))} "
            f"--bundle {shlex.quote(str(first.source.parent / default))}",
        )
    if len(everywhere) > 1:
        raise BundleError(
            f"{everywhere[0].source} and {everywhere[1].source} are both for a CPU: an app has one of these to fall "
            "back to.",
            hint="Leave one out.",
        )
    for one, other in combinations(found, 2):
        _check_pair(one, other)
    chips = [one for one in found if one.manifest.target.chip != CPU_CHIP]
    # In an order of their own: the same bundles are the same drop, however they were named.
    return (*everywhere, *sorted(chips, key=lambda one: (one.manifest.target.name, one.sha256)))


def _read(source: Path, app: App, wanted: Sequence[str], *, force: bool) -> Offered:
    manifest = bundles.read(source)
    if manifest.target.platform is not app.platform:
        raise BundleError(
            f"{source} is made for {manifest.target.name}; {app.root} is an app for {app.platform}.",
            hint=f"Build one: edgekit build --target {DEFAULT_TARGETS[app.platform]}",
        )
    if wanted and manifest.target.name not in {targets.load(name).name for name in wanted} | _fallback(app, wanted):
        raise BundleError(
            f"{source} is made for {manifest.target.name}, not for {' or '.join(wanted)}.",
            hint="Leave out --target, or --bundle.",
        )
    notes = check.require(bundles.compatibility(source, manifest))
    if manifest.verdict != "passed":
        if not force:
            raise OverBudgetError(
                f"{source} is over its budget: its verdict is failed, and an app would carry that to every phone.",
                hint=f"See {source / bundles.PAGE_FILE}; --force drops it all the same, to look at it on a device.",
            )
        notes = (*notes, f"{source} is over its budget, and was dropped with --force: do not release this app.")
    return Offered(source=source, manifest=manifest, sha256=digest.of_file(source / MANIFEST_FILE), notes=notes)


def _fallback(app: App, wanted: Sequence[str]) -> set[str]:
    """Return the target that is taken beside those that are asked for, if these are all for chips."""
    on_chip = all(targets.load(name).chip.name != CPU_CHIP for name in wanted)
    return {DEFAULT_TARGETS[app.platform]} if on_chip else set()


def _check_pair(one: Offered, other: Offered) -> None:
    mine, theirs = one.manifest, other.manifest
    differing = [name for name in _SAME if getattr(mine, name) != getattr(theirs, name)]
    if differing:
        raise BundleError(
            f"{one.source} and {other.source} are not of one model: {', '.join(differing)} differ.",
            hint="Build both from the same project: edgekit build "
            f"--target {shlex.quote(mine.target.name)} --target {shlex.quote(theirs.target.name)}",
        )
    for package in mine.target.runtimes.keys() & theirs.target.runtimes.keys():
        versions = mine.target.runtimes[package], theirs.target.runtimes[package]
        if versions[0] != versions[1]:
            raise BundleError(
                f"{one.source} is for {package} {versions[0]}, {other.source} for {versions[1]}: an app links one.",
                hint="Build both with the same EdgeKit.",
            )
    if CPU_CHIP in (mine.target.chip, theirs.target.chip):
        return
    shared = {soc.casefold() for soc in theirs.target.socs}
    same = [soc for soc in mine.target.socs if soc.casefold() in shared]
    if same or not (mine.target.socs or theirs.target.socs):
        what = f"for {', '.join(same)}" if same else "for every device with their chip"
        raise BundleError(
            f"{one.source} and {other.source} are both {what}: an app could not tell which to take.",
            hint="Leave one out.",
        )


def _place(one: Offered) -> str:
    info = one.manifest.target
    return f"{info.chip} of {', '.join(info.socs)}" if info.socs else info.chip

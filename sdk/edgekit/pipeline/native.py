"""Add native folders to the bundles of a build: what was asked for, looked at first, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgekit.apps.native import folder as folders
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.bundles.result import BuildResult
from edgekit.spec import Platform, Target
from edgekit.spec.target import NativePictures


def asked(
    targets: Sequence[Target], given: NativePictures | None, project: NativePictures | None
) -> dict[str, NativePictures]:
    """Return which targets get a native folder, and which pictures it reads.

    Args:
        targets: What is built for.
        given: What the command line asks for; it is meant for every target.
        project: What the project asks for, for those of its targets that are for Linux.

    Raises:
        TargetError: If one cannot have such a folder.
        ToolchainError: If there is no compiler for it.
    """
    linux = {target.name for target in targets if target.platform is Platform.LINUX}
    found = {
        target.name: pictures
        for target in targets
        if (pictures := given or target.native or (project if target.name in linux else None)) is not None
    }
    folders.check(target for target in targets if target.name in found)
    return found


def add(
    result: BuildResult, wanted: Mapping[str, NativePictures], progress: Progress, cache: Cache | None
) -> BuildResult:
    """Write the native folders of bundles that are on disk.

    Args:
        result: The build.
        wanted: The targets that get one, and which pictures it reads.
        progress: Told about every stage.
        cache: Where compiled programs are kept.

    Raises:
        ToolchainError, RunError, BundleError: If a folder cannot be made; the bundle itself stays.
    """
    if not wanted:
        return result
    stages, made, peaks = Stages(progress), {}, {}
    for built in result.bundles:
        name = built.manifest.target.name
        if name not in wanted:
            continue
        with stages(f"native {name}") as detail:
            added = folders.add(built.folder, built.manifest, jpeg=wanted[name] == "jpeg", cache=cache)
            made[name] = added.native
            detail.append(f"{added.native.bytes / 1e6:.2f} MB with {added.native.runtime}")
            detail.append("self-test passed" if added.tested else f"not tried: it is for {added.native.cpu}")
            if added.peak_bytes is not None:
                peaks[name] = added.peak_bytes
            detail.cached = added.cached
    seconds, cached = result.seconds + tuple(stages.seconds), result.cached + tuple(stages.cached)
    return replace(result, seconds=seconds, cached=cached, native=made, native_peaks=peaks)

"""Build a project, or find that nothing has changed since it was built: decided before torch is imported."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from edgekit import bundles
from edgekit.base import cache as caches
from edgekit.base.cache import Cache, Entry
from edgekit.base.progress import Progress, Silent, Stages
from edgekit.bundles.result import BuildResult, Built, NotBuilt
from edgekit.errors import BundleError
from edgekit.model.layers import Sensitivities
from edgekit.model.ready import Ready
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.model.weights.trust import trusted
from edgekit.pipeline import buildkey, peaks
from edgekit.pipeline import native as natives
from edgekit.spec import Format, Target, schemes
from edgekit.spec.project import OpenProject
from edgekit.spec.target import NativePictures


def build_project(
    project: OpenProject,
    profiles: tuple[Target, ...],
    output: Path,
    progress: Progress | None = None,
    *,
    formats: Sequence[Format] = (),
    cache: bool = True,
    keep: Path | None = None,
    trust_pickle: bool = False,
    native: NativePictures | None = None,
    ready: Ready | None = None,
    peak_memory: bool = False,
) -> BuildResult:
    """Build what a project file describes; bundles that were built before from the same things come from the cache.

    Args:
        project: From `edgekit.spec.project.load` or `edgekit.spec.project.find`.
        profiles: The targets.
        output: The bundles are written to ``output / model / target``.
        progress: Told about every stage.
        formats: The artifacts to write, of those that the targets name; the project's choice, or all, unless given.
        cache: False builds everything anew and keeps nothing.
        keep: Folder for every intermediate of the build, which is then done even if nothing has changed.
        trust_pickle: Run the code in the weights' pickle, in a process of its own, and take the weights out of it.
        native: Add a folder that runs without Python to every bundle; its program reads ``"png"``, or ``"jpeg"`` too.
            Unless given, what the project and the targets say.
        ready: What of the project's model was read or made before.
        peak_memory: Measure how much memory each artifact takes, in a fresh process; what is known is told anyway.

    Raises:
        EdgeKitError: A subclass for what is wrong, with a hint.
    """
    progress = progress or Silent()
    profiles = schemes.narrowed(profiles, formats or project.spec.formats)
    for profile in profiles:
        schemes.of_target(profile, project.spec.quantize)
    folders = natives.asked(profiles, native, project.spec.build.native)
    if trust_pickle and not project.is_program:
        project = trusted(project)
    store = caches.for_builds() if cache else None
    if store is None:
        result = _build(project, profiles, output, progress, None, keep, ready)
    else:
        result = _changed(project, profiles, output, progress, store, keep, ready)
    return peaks.add(natives.add(result, folders, progress, store), progress, store, measure=peak_memory)


def _changed(
    project: OpenProject,
    profiles: tuple[Target, ...],
    output: Path,
    progress: Progress,
    store: Cache,
    keep: Path | None,
    ready: Ready | None,
) -> BuildResult:
    """Build the bundles whose project or target has changed since the cache has kept them."""
    stages = Stages(progress)
    found: dict[str, Built] = {}
    with stages("check what changed") as detail:
        files = buildkey.of_files(project)
        keys = {} if files is None else {profile.name: buildkey.of_bundle(files, profile) for profile in profiles}
        places = {profile.name: output / project.spec.model.name / profile.name for profile in profiles}
        entries = {name: None if keep else _entry(store, keys.get(name)) for name in places}
        kept = {name: None if entry is None else _kept(entry, places[name]) for name, entry in entries.items()}
        missing = tuple(profile for profile in profiles if kept[profile.name] is None)
        detail.append("nothing" if not missing else f"to build: {', '.join(profile.name for profile in missing)}")
    for built in kept.values():
        if built is not None:
            with stages(f"bundle {built.manifest.target.name}") as detail:
                bundles.write(built.folder, built.files)
                found[built.manifest.target.name] = built
                detail.append(str(built.folder))
                detail.cached = True
    seconds, cached = tuple(stages.seconds), tuple(stages.cached)
    not_built: tuple[NotBuilt, ...] = ()
    ranking = next((one for entry in entries.values() if entry and (one := _ranking(entry)) is not None), None)
    if missing:
        fresh = _build(project, missing, output, progress, store, keep, ready)
        found |= {built.manifest.target.name: built for built in fresh.bundles}
        seconds, cached, not_built = seconds + fresh.seconds, cached + fresh.cached, fresh.not_built
        ranking = fresh.ranking or ranking
        if files is not None and files == buildkey.of_files(project):
            # Otherwise one was changed while it was read, and nobody knows what the bundles were made from.
            imported = buildkey.imported_files(project)
            for built in fresh.bundles:
                told = None if built.passed or fresh.ranking is None else fresh.ranking.model_dump(mode="json")
                entry = Entry(files=built.files, facts={"imported": imported, "ranking": told})
                caches.put(store, "bundle", keys[built.manifest.target.name], entry)
    built_ones = tuple(found[profile.name] for profile in profiles if profile.name in found)
    return BuildResult(bundles=built_ones, seconds=seconds, cached=cached, not_built=not_built, ranking=ranking)


def _build(
    project: OpenProject,
    profiles: tuple[Target, ...],
    output: Path,
    progress: Progress,
    store: Cache | None,
    keep: Path | None,
    ready: Ready | None,
) -> BuildResult:
    if ready is None and not project.is_program:  # what is no weights is said at once
        ready = Ready(checkpoint=read_checkpoint(project.weights, project.spec.model.weights_key))

    from edgekit.pipeline import job  # torch, which an unchanged build does without
    from edgekit.pipeline.build import build_job

    return build_job(job.of_project(project, ready), profiles, output, progress, store, keep)


def _entry(store: Cache, key: str | None) -> Entry | None:
    """Return what an earlier build kept, if all that it was made from is the same."""
    entry = None if key is None else caches.get(store, "bundle", key)
    imported = None if entry is None else entry.facts.get("imported")
    return entry if isinstance(imported, dict) and buildkey.unchanged(imported) else None


def _ranking(entry: Entry) -> Sensitivities | None:
    """Return what each layer costs, where the build that was over its budget has measured it."""
    try:
        return Sensitivities.model_validate(entry.facts.get("ranking"), strict=False)
    except ValidationError:  # none was measured, or another version did
        return None


def _kept(entry: Entry, place: Path) -> Built | None:
    """Return a bundle as it was built before, not yet written."""
    try:
        manifest = bundles.checked(entry.files, where="the cached bundle")
    except BundleError:  # written by another version of the contract
        return None
    return Built(folder=place, manifest=manifest, files=entry.files, cached=True)

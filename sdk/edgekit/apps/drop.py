"""Put a bundle into an app in steps of which each leaves the app whole: copy, check, pin, switch, clear away."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekit import bundles, targets
from edgekit.apps.find import find
from edgekit.apps.pins import plan, write
from edgekit.apps.values import POINTER_FILE, App, Dropped
from edgekit.base import digest, lock
from edgekit.base.atomic import is_unfinished, remove, replace_file, replace_folder, sweep
from edgekit.base.progress import Progress, Silent, Stages
from edgekit.bundles import own
from edgekit.bundles.manifest import MANIFEST_FILE, Manifest
from edgekit.errors import AppError, BundleError, OverBudgetError
from edgekit.spec import Platform
from edgekit.spec.find import find as find_project
from edgekit.targets.runtimes import check

POINTER_VERSION = 1
DEFAULT_TARGETS = {Platform.ANDROID: "android-arm64", Platform.IOS: "ios-arm64"}
_BY_DIGEST = re.compile(r"[0-9a-f]{16}")


def drop(
    app: str | Path,
    *,
    bundle: str | Path | None = None,
    target: str | None = None,
    project: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Dropped:
    """Copy a bundle into an app, check it there, and pin the versions of the runtimes that it needs.

    Whoever stops it, at whatever moment, leaves an app that loads the bundle it had or the new one.

    Args:
        app: ``android-demo``, ``ios-demo``, or the folder of a Gradle project, an app module, a Swift package or an
            Xcode project.
        bundle: The bundle's folder; ``artifacts/MODEL/TARGET`` of the project unless given.
        target: The target whose bundle to take; ``android-arm64`` or ``ios-arm64`` unless given.
        project: The project's folder; this one unless given.
        force: Take a bundle whose verdict is failed, too.
        progress: Told about every stage.

    Returns:
        What was done, and what remains for a person to do.

    Raises:
        AppError: If there is no app, or it cannot be written.
        BundleError: If the bundle is missing, damaged, or made for another platform.
        CompatibilityError: If an artifact needs what the runtime lacks that the app would link.
        OverBudgetError: If the bundle's verdict is failed.
    """
    stages = Stages(progress or Silent())
    with stages("find the app") as detail:
        found = find(Path(app))
        detail.append(f"{found.platform}, bundles go to {found.place}")
    with stages("check the bundle") as detail:
        source = Path(bundle) if bundle is not None else _built(found, target, project)
        manifest, notes = _checked(source, found, target, force=force)
        detail.append(f"{manifest.model.name} for {manifest.target.name}, {manifest.verdict}")
    sha256 = digest.of_file(source / MANIFEST_FILE)
    names = (*dict(bundles.files(manifest)), MANIFEST_FILE)
    with _alone(found):
        return _put(found, source, manifest, sha256, names, notes, stages)


def _put(
    found: App,
    source: Path,
    manifest: Manifest,
    sha256: str,
    names: tuple[str, ...],
    notes: tuple[str, ...],
    stages: Stages,
) -> Dropped:
    pins = plan(found, manifest)  # what cannot be edited is told before anything is written
    folder = found.place / sha256[:16]
    with stages("copy") as detail:
        copied = not _is_there(folder, sha256, names)
        if copied:
            _copy(source, folder, names)
            _verify(folder, sha256)
        detail.append(f"{len(names)} files read back and compared" if copied else "the app has it already")
    with stages("pin the runtimes") as detail:
        write(pins)
        detail.append(", ".join(f"{one.key} {one.after}" for one in pins.pins) or "no file to pin them in")
    with stages("switch") as detail:
        switched = _switch(found.place, folder.name, sha256)
        removed = _clear(found.place, keep=folder.name)
        detail.append(f"removed {', '.join(removed)}" if removed else "nothing to remove")
    return Dropped(
        app=found,
        bundle=source,
        model=manifest.model.name,
        target=manifest.target.name,
        verdict=manifest.verdict,
        folder=folder,
        manifest_sha256=sha256,
        files=tuple((name, (folder / name).stat().st_size) for name in sorted(names)),
        copied=copied or switched,
        removed=removed,
        pins=pins.pins,
        notes=(*notes, *pins.notes),
    )


def _built(app: App, target: str | None, folder: str | Path | None) -> Path:
    """Return where the project's bundle for a target lies."""
    name = targets.load(target or DEFAULT_TARGETS[app.platform]).name
    place = (
        Path("artifacts") / find_project(None if folder is None else Path(folder), strict=False).spec.model.name / name
    )
    if not (place / MANIFEST_FILE).is_file():
        wanted = "" if folder is None else f" --project {shlex.quote(str(folder))}"
        raise BundleError(
            f"There is no bundle at {place}.",
            hint=f"Build it: edgekit build --target {shlex.quote(target or name)}{wanted}. "
            "Or give one with --bundle FOLDER.",
        )
    return place


def _checked(source: Path, app: App, target: str | None, *, force: bool) -> tuple[Manifest, tuple[str, ...]]:
    """Read a bundle, and refuse one that the app had better not have."""
    manifest = bundles.read(source)
    if manifest.target.platform is not app.platform:
        raise BundleError(
            f"{source} is made for {manifest.target.name}; {app.root} is an app for {app.platform}.",
            hint=f"Build one: edgekit build --target {DEFAULT_TARGETS[app.platform]}",
        )
    if target is not None and manifest.target.name != targets.load(target).name:
        raise BundleError(
            f"{source} is made for {manifest.target.name}, not for {target}.",
            hint="Leave out --target, or --bundle.",
        )
    notes = check.require(bundles.compatibility(source, manifest))
    if manifest.verdict == "passed":
        return manifest, notes
    if not force:
        raise OverBudgetError(
            f"{source} is over its budget: its verdict is failed, and an app would carry that to every phone.",
            hint=f"See {source / bundles.PAGE_FILE}; --force drops it all the same, to look at it on a device.",
        )
    return manifest, (
        *notes,
        "The bundle is over its budget, and was dropped with --force: do not release this app.",
    )


@contextmanager
def _alone(app: App) -> Iterator[None]:
    """Keep other drops into the same app, or into its file of versions, out until this one ends."""
    # Both are there, whatever the app has been given so far.
    folders = {app.place.parent.parent.resolve(), *([app.pins.resolve().parent] if app.pins else [])}
    try:
        with ExitStack() as stack:
            for folder in sorted(folders):
                alone = stack.enter_context(lock.held(folder))
                if alone and app.pins is not None and folder == app.pins.resolve().parent:
                    sweep(app.pins.resolve())
            yield
    except OSError as error:
        raise AppError(f"{app.root} cannot be read: {error}", hint="Make it readable.") from error


def _is_there(folder: Path, sha256: str, names: tuple[str, ...]) -> bool:
    """Whether an app has a bundle whole, and nothing beside it in its folder."""
    try:
        if own.beside(folder, frozenset(names)):
            return False
        _verify(folder, sha256)
    except (OSError, AppError):
        return False
    return True


def _copy(source: Path, folder: Path, names: tuple[str, ...]) -> None:
    def check(place: Path) -> None:
        if place.exists() and (not place.is_dir() or own.beside(place, frozenset(names))):
            raise AppError(
                f"{place} holds what is not of the bundle, and is left alone.", hint="Move it away, and drop again."
            )

    try:
        replace_folder(folder, {name: (source / name).read_bytes() for name in names}, check)
    except (OSError, BundleError) as error:
        raise AppError(f"{folder} cannot be written: {error}", hint="Free some space, or make it writable.") from error


def _verify(folder: Path, sha256: str) -> None:
    """Read every file of a dropped bundle back, from the manifest down."""
    try:
        if digest.of_file(folder / MANIFEST_FILE) != sha256:
            raise AppError(f"{folder} has another manifest than the bundle.", hint="Drop it again.")
        bundles.read(folder)
    except (OSError, BundleError) as error:
        raise AppError(f"The copy in the app is not what was copied: {error}", hint="Drop it again.") from error


def _switch(place: Path, folder: str, sha256: str) -> bool:
    """Let the app load the new bundle from now on; False if it did already."""
    pointer = place / POINTER_FILE
    says = {"version": POINTER_VERSION, "folder": folder, "manifest_sha256": sha256}
    data = (json.dumps(says, indent=2) + "\n").encode()
    if pointer.is_file() and pointer.read_bytes() == data:
        return False
    try:
        replace_file(pointer, data)
    except BundleError as error:
        raise AppError(error.message, hint="Free some space, or make it writable.") from error
    return True


def _clear(place: Path, *, keep: str) -> tuple[str, ...]:
    """Remove the bundles that were there before, and what interrupted drops have left; other files are not ours."""
    stale = sorted(path for path in place.iterdir() if path.name != keep and _is_ours(path))
    for path in stale:
        remove(path)
    return tuple(path.name for path in stale)


def _is_ours(path: Path) -> bool:
    """Whether something among the bundles is one that a drop has copied, or half of one, and nothing else is in it."""
    if is_unfinished(path.name):
        return True
    manifest = path / MANIFEST_FILE
    try:
        named = _BY_DIGEST.fullmatch(path.name) and not path.is_symlink() and manifest.is_file()
        return bool(named) and digest.of_file(manifest).startswith(path.name) and own.foreign(path) == ()
    except OSError:
        return False

"""Put bundles into an app in steps of which each leaves the app whole: copy, check, pin, switch, clear away."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekit import bundles
from edgekit.apps import offered as offering
from edgekit.apps.find import find
from edgekit.apps.offered import Offered
from edgekit.apps.pins import plan, write
from edgekit.apps.values import POINTER_FILE, App, Dropped, Placed
from edgekit.base import digest, lock
from edgekit.base.atomic import is_unfinished, remove, replace_file, replace_folder, sweep
from edgekit.base.progress import Progress, Silent, Stages
from edgekit.bundles import own
from edgekit.bundles.manifest import MANIFEST_FILE
from edgekit.errors import AppError, BundleError

POINTER_VERSION = 1
_BY_DIGEST = re.compile(r"[0-9a-f]{16}")


def drop(
    app: str | Path,
    *,
    bundle: str | Path | Sequence[str | Path] | None = None,
    target: str | Sequence[str] | None = None,
    project: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Dropped:
    """Copy bundles into an app, check them there, and pin the versions of the runtimes that they need.

    One of them is for the CPU, which every device has; those beside it are for chips, and an app takes the one for its
    own. Whoever stops it, at whatever moment, leaves an app that loads the bundles it had or the new ones.

    Args:
        app: ``android-demo``, ``ios-demo``, or the folder of a Gradle project, an app module, a Swift package or an
            Xcode project.
        bundle: The bundle's folder, or those of several; ``artifacts/MODEL/TARGET`` of the project unless given.
        target: The target whose bundle to take, or several; ``android-arm64`` or ``ios-arm64`` unless given, and beside
            targets that are all for chips.
        project: The project's folder; this one unless given.
        force: Take bundles whose verdict is failed, too.
        progress: Told about every stage.

    Returns:
        What was done, and what remains for a person to do.

    Raises:
        AppError: If there is no app, or it cannot be written.
        BundleError: If a bundle is missing, damaged, or made for another platform; if none is for the CPU, or two are;
            if two are for the same system on a chip, or not of one model.
        CompatibilityError: If an artifact needs what the runtime lacks that the app would link.
        OverBudgetError: If a bundle's verdict is failed.
    """
    stages = Stages(progress or Silent())
    wanted = () if target is None else (target,) if isinstance(target, str) else tuple(target)
    with stages("find the app") as detail:
        found = find(Path(app))
        detail.append(f"{found.platform}, bundles go to {found.place}")
    with stages("check the bundles") as detail:
        named = (bundle,) if isinstance(bundle, str | Path) else tuple(bundle or ())
        sources = tuple(map(Path, named)) or offering.built(found, wanted, project)
        offers = offering.offered(sources, found, wanted, force=force)
        manifests = [one.manifest for one in offers]
        detail.append(", ".join(f"{one.model.name} for {one.target.name}, {one.verdict}" for one in manifests))
    with _alone(found):
        return _put(found, offers, stages)


def _put(found: App, offers: tuple[Offered, ...], stages: Stages) -> Dropped:
    pins = plan(found, [one.manifest for one in offers])  # what cannot be edited is told before anything is written
    with stages("copy") as detail:
        placed = tuple(_placed(found.place, one) for one in offers)
        fresh = sum(len(one.files) for one in placed if one.copied)
        detail.append(f"{fresh} files read back and compared" if fresh else "the app has all of it already")
    with stages("pin the runtimes") as detail:
        write(pins)
        detail.append(", ".join(f"{one.key} {one.after}" for one in pins.pins) or "no file to pin them in")
    with stages("switch") as detail:
        switched = _switch(found.place, placed)
        removed = _clear(found.place, keep={one.folder.name for one in placed})
        detail.append(f"removed {', '.join(removed)}" if removed else "nothing to remove")
    return Dropped(
        app=found,
        model=offers[0].manifest.model.name,
        fallback=placed[0],
        chips=placed[1:],
        switched=switched,
        removed=removed,
        pins=pins.pins,
        notes=tuple(dict.fromkeys((*(note for one in offers for note in one.notes), *pins.notes))),
    )


def _placed(place: Path, one: Offered) -> Placed:
    """Copy a bundle to where the app keeps them, unless it is there."""
    folder = place / one.sha256[:16]
    copied = not _is_there(folder, one.sha256, one.names)
    if copied:
        _copy(one.source, folder, one.names)
        _verify(folder, one.sha256)
    info = one.manifest.target
    return Placed(
        bundle=one.source,
        target=info.name,
        chip=info.chip,
        socs=info.socs,
        verdict=one.manifest.verdict,
        folder=folder,
        manifest_sha256=one.sha256,
        files=tuple((name, (folder / name).stat().st_size) for name in sorted(one.names)),
        copied=copied,
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


def _switch(place: Path, placed: Sequence[Placed]) -> bool:
    """Let the app load the new bundles from now on; False if it did already."""
    pointer = place / POINTER_FILE
    first, *chips = placed
    says: dict[str, object] = {"version": POINTER_VERSION, **_pointed(first)}
    if chips:  # an app that knows of none of them reads what it always has
        says["chips"] = [{**_pointed(one), "chip": one.chip, "socs": list(one.socs)} for one in chips]
    data = (json.dumps(says, indent=2) + "\n").encode()
    if pointer.is_file() and pointer.read_bytes() == data:
        return False
    try:
        replace_file(pointer, data)
    except BundleError as error:
        raise AppError(error.message, hint="Free some space, or make it writable.") from error
    return True


def _pointed(one: Placed) -> dict[str, str]:
    return {"folder": one.folder.name, "manifest_sha256": one.manifest_sha256}


def _clear(place: Path, *, keep: Collection[str]) -> tuple[str, ...]:
    """Remove the bundles that were there before, and what interrupted drops have left; other files are not ours."""
    stale = sorted(path for path in place.iterdir() if path.name not in keep and _is_ours(path))
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

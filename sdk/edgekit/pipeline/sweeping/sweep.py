"""The ``sweep`` verb: from a sweep file to results in a store, and the same results as bundles on disk."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from edgekit import bundles
from edgekit.base.progress import Progress
from edgekit.base.store.place import Place, open_place
from edgekit.bundles.cells import Swept
from edgekit.errors import ProjectError, StoreError, SweepError
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.drive import drive
from edgekit.pipeline.sweeping.engine import Engine
from edgekit.pipeline.sweeping.local import LocalEngine
from edgekit.pipeline.sweeping.plan import Plan, plan
from edgekit.pipeline.sweeping.results import Ordered, SweepRecord
from edgekit.pipeline.sweeping.work import unpacked
from edgekit.render.telling import telling
from edgekit.spec.sweep import OpenSweep, read

DEFAULT_STORE = "edgekit-store"
LATEST = "latest"
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def sweep(
    file: str | Path,
    *,
    on: str = "local",
    store: str | Path = DEFAULT_STORE,
    tag: str = LATEST,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Swept:
    """Do every cell of a sweep file that the store has no result of.

    Args:
        file: The sweep file.
        on: ``"local"``, processes on this machine; ``"ray"``, the cluster that this machine is in, or else one of this
            machine alone; ``"ray://HOST:PORT"``, a cluster elsewhere.
        store: A folder, or a URL such as ``s3://BUCKET/PATH``; all machines must see it.
        tag: What to call this sweep, for the scorecard's history: a release.
        workers: How many processes, on this machine; one for each core unless given.
        progress: Told about every cell.

    Raises:
        ProjectError, TargetError: With all faults of the sweep file, or of what it names.
        ToolchainError: If a library is missing.
        StoreError: If the store cannot be used.
        SweepError: If the cluster cannot be reached. Cells that fail are part of the answer, and no exception.
    """
    if not _TAG.fullmatch(tag):
        raise ProjectError(f"The tag {tag!r} is no name.", hint="Letters, digits, dots, dashes and underscores: v1.2.")
    opened = read(Path(file))
    start = engine_of(on, opened, workers)
    with telling(progress) as told:
        place = open_place(str(store))
        planned = plan(opened, place.text)
        results.record(place, _ordered(planned, tag))
        return drive(planned, place, start, told, attempts=opened.spec.resources.attempts)


def engine_of(on: str, opened: OpenSweep, workers: int | None = None) -> Callable[[], Engine]:
    """Return what starts an engine.

    Raises:
        SweepError: If there is none of this name.
        ToolchainError: If Ray is asked for and not installed.
    """
    if on == "local":
        return lambda: LocalEngine(cpus=opened.spec.resources.cpus, workers=workers)
    if on == "ray" or re.match(r"ray://[^/:]+:\d+\Z", on):
        from edgekit.pipeline.sweeping import raycluster

        raycluster.require()
        return lambda: raycluster.RayEngine(on, cpus=opened.spec.resources.cpus)
    raise SweepError(f"There is no engine {on!r}.", hint="--on takes local, ray or ray://HOST:PORT.")


def bundle_of(place: Place, name: str, folder: Path) -> Path:
    """Write the bundle of a cell to a folder.

    Args:
        place: The store.
        name: The cell's name, MODEL/TARGET/SCHEME/SETTINGS, of the latest sweep that has it; or its key.
        folder: Where the bundle goes.

    Raises:
        StoreError: If the store has no such cell, or it has no bundle.
        BundleError: If the folder cannot be written.
    """
    named = {str(one.name): one.key for one in (cell for sweep in results.sweeps(place) for cell in sweep.cells)}
    result = results.find(place, named.get(name, name))
    if result is None:
        raise StoreError(f"{place.text} has no result of {name}.", hint="edgekit store ls names those that it has.")
    if not result.blobs:
        raise StoreError(f"{name} has no bundle: {result.error}", hint=result.hint)
    bundles.write(folder, unpacked(place, result))
    return folder


def _ordered(planned: Plan, tag: str) -> SweepRecord:
    return SweepRecord(
        tag=tag,
        started=time.time(),
        cells=tuple(Ordered(name=task.name, key=task.key) for task in planned.tasks),
        left_out=dict(planned.left_out),
    )

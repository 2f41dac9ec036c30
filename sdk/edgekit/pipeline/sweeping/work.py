"""Do one cell, on whatever machine: build it, and put what came of it into the store. Nothing of an engine here."""

import functools
import io
import os
import platform
import socket
import tempfile
import time
import traceback
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.base import digest, environment, memory
from edgekit.base.store import blobs
from edgekit.base.store.place import Place, open_place
from edgekit.bundles.cells import Failure, Result
from edgekit.bundles.changes import Side
from edgekit.bundles.contents import PAGE_FILE, REPORT_FILE
from edgekit.bundles.entry import Entry
from edgekit.bundles.manifest import report
from edgekit.bundles.result import Built
from edgekit.errors import (
    CaptureError,
    EdgeKitError,
    LowerError,
    ProjectError,
    QuantizeError,
    StoreError,
    ToolchainError,
)
from edgekit.pipeline import buildkey
from edgekit.pipeline.rebuild import build_project
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.tasks import Outcome, Task
from edgekit.render.page.many import entries_of
from edgekit.spec.project import OpenProject, load

BUNDLE = "bundle.zip"
# What follows from the content of the cell alone, so that another attempt would end in the same way.
_REFUSALS = (CaptureError, QuantizeError, LowerError)
_LINES = 60
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def perform(task: Task) -> Outcome:
    """Do a cell unless its result is in the store; whatever goes wrong is an answer, not an exception."""
    try:
        place = open_place(task.store)
        if (known := results.find(place, task.key)) is not None:
            return Outcome(result=known, found=True)
        result = _done(task, place)
        results.keep(place, result)
        return Outcome(result=result)
    except StoreError as error:
        return Outcome(failure=_failure(task, error.message, error.hint, again=True))
    except EdgeKitError as error:
        return Outcome(failure=_failure(task, error.message, error.hint, again=False))
    except Exception as error:  # a model is a person's own code, and may raise anything
        told = f"{type(error).__name__}: {error}"
        return Outcome(failure=_failure(task, told, "", again=isinstance(error, MemoryError | OSError)))


def _failure(task: Task, reason: str, hint: str, *, again: bool) -> Failure:
    log = "\n".join(traceback.format_exc().splitlines()[-_LINES:])
    return Failure(key=task.key, name=task.name, reason=reason, hint=hint, log=log, again=again, host=host())


def _done(task: Task, place: Place) -> Result:
    if _tools() != task.tools:
        raise ToolchainError(
            f"{host()} has another EdgeKit, Python or libraries than where the sweep was started.",
            hint="Run both from one image, or install the same versions: see docs/sweep.md.",
        )
    project = _opened(task)
    content = buildkey.of_content(project)
    memory.begin_peak()
    began, used = time.perf_counter(), time.process_time()
    built, refusal = None, None
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        try:
            (built,) = build_project(project, (task.target,), Path(folder)).bundles
        except _REFUSALS as error:
            refusal = error
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    if content is None or content != buildkey.of_content(project):
        raise ProjectError(f"{task.project} was changed while it was read.", hint="Start the sweep again.")
    packed: Mapping[str, tuple[bytes, str]] = {} if built is None else _packed(built)
    return Result(
        key=task.key,
        name=task.name,
        verdict="refused" if built is None else built.manifest.verdict,
        error="" if refusal is None else refusal.message,
        hint="" if refusal is None else refusal.hint,
        blobs={name: blobs.put(place, data, ending) for name, (data, ending) in packed.items()},
        entries=() if built is None else _entries(built),
        float_layers=() if built is None else built.manifest.float_layers,
        seconds=seconds,
        cpu_seconds=cpu,
        peak_bytes=memory.peak(),
        stored_bytes=sum(len(data) for data, _ in packed.values()),
        host=host(),
        finished=time.time(),
    )


def _opened(task: Task) -> OpenProject:
    project = load(Path(task.project))
    return replace(project, spec=project.spec.model_copy(update={"quantize": task.quantize}))


def _packed(built: Built) -> dict[str, tuple[bytes, str]]:
    """Return the blobs of a bundle with their endings: report and page by themselves, for they are read alone."""
    alone = {REPORT_FILE: ".json", PAGE_FILE: ".html"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in sorted(built.files.items()):
            if name not in alone:
                # The same bundle gives the same bytes, whenever it is packed.
                archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), data, zipfile.ZIP_DEFLATED, compresslevel=6)
    return {
        BUNDLE: (buffer.getvalue(), ".zip"),
        **{name: (built.files[name], ending) for name, ending in alone.items()},
    }


def unpacked(place: Place, result: Result) -> dict[str, bytes]:
    """Return the files of a cell's bundle.

    Raises:
        StoreError: If a blob is missing or damaged.
    """
    with zipfile.ZipFile(io.BytesIO(blobs.get(place, result.blobs[BUNDLE]))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return files | {name: blobs.get(place, blob) for name, blob in result.blobs.items() if name != BUNDLE}


def _entries(built: Built) -> tuple[Entry, ...]:
    found = report(built.manifest)
    side = Side(path=str(found.target.name), report=found, drift=found.drift)
    return entries_of([side], [None])


@functools.cache
def _tools() -> str:
    return digest.of_json([environment.of_tools()])


def host() -> str:
    """Return the name of this machine."""
    return f"{socket.gethostname()} ({platform.machine()}, {os.cpu_count()} cores)"

"""Cells on this machine: one warm process a core. Implements `Engine`."""

import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO

from edgekit.base import memory
from edgekit.base.child import PYTHON
from edgekit.base.frames import ClosedError, receive, send
from edgekit.errors import SweepError
from edgekit.pipeline.sweeping.engine import Ended, environment
from edgekit.pipeline.sweeping.tasks import Outcome, Task

_MODULE = "edgekit.pipeline.sweeping.worker"
_START_S = 300.0
_STARTS = 3
_GRACE_S = 30.0
_LOG = 6000


@dataclass(kw_only=True)
class _Worker:
    process: "subprocess.Popen[bytes]"
    read: int
    write: int
    said: IO[bytes]
    task: Task | None = None
    ready: bool = False
    stopped: bool = False
    began: float = 0.0


class LocalEngine:
    """A pool of processes that outlives any of them: one that is killed is replaced, the others go on."""

    def __init__(self, *, cpus: int = 1, workers: int | None = None) -> None:
        """Take how many threads a cell has, and how many workers there are; as many as the cores allow unless given."""
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        self._cpus = cpus
        self._count = workers or max(1, cores // cpus)
        self._memory = memory.of_machine() or 2**62
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    @property
    def text(self) -> str:
        """How many processes there are."""
        return f"{self._count} process{'es' if self._count > 1 else ''} on this machine"

    @property
    def grace(self) -> float:
        """A worker that does not end itself is stuck."""
        return _GRACE_S

    def has_room(self, task: Task) -> bool:
        """Whether a worker is free, the memory is left, and nobody has the task's label."""
        busy = [worker.task for worker in self._workers if worker.task is not None]
        taken = sum(one.memory for one in busy)
        return (
            len(busy) < self._count
            and (not busy or taken + task.memory <= self._memory)
            and (task.label is None or task.label not in {one.label for one in busy})
        )

    def start(self, task: Task) -> None:
        """Give a cell to a free worker, or to a new one."""
        free = [worker for worker in self._workers if worker.task is None]
        worker = next((one for one in free if one.ready), free[0] if free else None) or self._started()
        worker.task, worker.began = task, time.monotonic()
        if worker.ready:
            self._give(worker)

    def ended(self, seconds: float) -> list[Ended]:
        """Return the attempts that are over; workers that are gone are forgotten.

        Raises:
            SweepError: If workers do not even start.
        """
        by_end = {worker.read: worker for worker in self._workers}
        readable = select.select(list(by_end), (), (), seconds)[0]
        found = [self._heard(by_end[end]) for end in readable]
        return [one for one in found if one is not None]

    def stop(self, task: Task) -> None:
        """Kill the worker that is at a cell for too long; its own start, which may be slow, does not count."""
        for worker in self._workers:
            late = worker.ready and time.monotonic() - worker.began > task.seconds + _GRACE_S
            if late and worker.task is not None and worker.task.key == task.key:
                worker.stopped = True
                worker.process.kill()

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.process.kill()
            self._bury(worker)
        self._workers = []

    def _started(self) -> _Worker:
        read, out = os.pipe()
        back, write = os.pipe()
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*PYTHON, _MODULE, str(read), str(write)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(read, write),
            env={**os.environ, **environment(self._cpus)},
        )
        os.close(read)
        os.close(write)
        worker = _Worker(process=process, read=back, write=out, said=said)
        self._workers.append(worker)
        return worker

    def _give(self, worker: _Worker) -> None:
        assert worker.task is not None
        try:
            send(worker.write, {"task": worker.task.model_dump_json()}, seconds=_START_S)
        except (ClosedError, TimeoutError):
            worker.process.kill()  # that it is gone is seen where it is listened to

    def _heard(self, worker: _Worker) -> Ended | None:
        try:
            facts, _ = receive(worker.read, seconds=_START_S)
        except (ClosedError, TimeoutError):
            return self._gone(worker)
        task = worker.task
        if not worker.ready:
            worker.ready, self._failed_starts = True, 0
            if task is not None:
                worker.began = time.monotonic()
                self._give(worker)
            return None
        worker.task = None
        assert task is not None
        outcome = Outcome.model_validate_json(str(facts["outcome"]))
        if outcome.failure is not None and (said := _tail(worker.said)):
            log = f"{said}\n{outcome.failure.log}"
            outcome = outcome.model_copy(update={"failure": outcome.failure.model_copy(update={"log": log})})
        return Ended(task=task, outcome=outcome)

    def _gone(self, worker: _Worker) -> Ended | None:
        """Forget a worker that is no more, and say what became of its cell."""
        worker.process.kill()
        code = worker.process.wait()
        said = _tail(worker.said)
        self._workers.remove(worker)
        self._bury(worker)
        task = worker.task
        if not worker.ready and not worker.stopped and code > 0:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise SweepError(f"Workers do not start: exit code {code}.\n{said}", hint="edgekit doctor may say why.")
        if task is None:
            return None
        return Ended(task=task, outcome=None, reason=_why(code, said, task, stopped=worker.stopped), log=said)

    @staticmethod
    def _bury(worker: _Worker) -> None:
        worker.process.wait()
        os.close(worker.read)
        os.close(worker.write)
        worker.said.close()


def _tail(said: IO[bytes]) -> str:
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _LOG))
    return said.read().decode(errors="replace").strip()


def _why(code: int, said: str, task: Task, *, stopped: bool) -> str:
    if stopped or "Timeout (" in said:
        return f"it took more than the {task.seconds} s of its time limit"
    if code == -9:
        return "its process was killed (signal 9), as systems do that are out of memory"
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with exit code {code}"

"""Run a sweep: what is in the store is not run again, what is lost is tried again, what fails is marked, and on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edgekit.base.progress import Progress
from edgekit.base.store.place import Place
from edgekit.bundles.cells import Failure, Result, Swept
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.engine import Ended, Engine
from edgekit.pipeline.sweeping.plan import Plan
from edgekit.pipeline.sweeping.tasks import Task

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_POLL_S = 0.5


@dataclass(kw_only=True)
class _Waiting:
    task: Task
    attempts: int = 0
    ready: float = 0.0


@dataclass(kw_only=True)
class _State:
    total: int
    waiting: list[_Waiting]
    running: dict[str, tuple[_Waiting, float]] = field(default_factory=dict)
    found: dict[str, Result] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    stored_before: int = 0
    lost: int = 0


def drive(plan: Plan, place: Place, engine: Callable[[], Engine], progress: Progress, *, attempts: int = 4) -> Swept:
    """Do the cells of a plan that have no result yet.

    Args:
        plan: The cells.
        place: The store, which all workers see.
        engine: Starts what runs the cells; called if there is anything to run.
        progress: Told about every cell.
        attempts: How often a cell is tried whose worker is lost.

    Raises:
        StoreError: If the store cannot be used.
        SweepError: If the engine does not start.
    """
    began = time.monotonic()
    known = results.stored(place)
    tasks = {task.key: task for task in plan.tasks}  # cells of the same content are one
    state = _State(
        total=len(tasks),
        waiting=[_Waiting(task=task) for key, task in tasks.items() if key not in known],
        stored_before=sum(key in known for key in tasks),
    )
    where = "the store alone"
    if state.waiting:
        progress.start(_told(state), None)
        running = engine()
        where = running.text
        try:
            _work(state, place, running, progress, attempts)
        finally:
            running.close()
    for key in tasks:
        if key not in state.found and key not in state.failed and (result := results.find(place, key)) is not None:
            state.found[key] = result
    return Swept(
        cells=tuple((task.name, task.key) for task in plan.tasks),
        left_out=plan.left_out,
        results=state.found,
        failures=state.failed,
        stored_before=state.stored_before,
        lost=state.lost,
        seconds=time.monotonic() - began,
        where=where,
    )


def _work(state: _State, place: Place, engine: Engine, progress: Progress, attempts: int) -> None:
    while state.waiting or state.running:
        while (one := _startable(state.waiting, engine)) is not None:
            one.attempts += 1
            state.running[one.task.key] = (one, time.monotonic())
            engine.start(one.task)
        progress.start(_told(state), _left(state))
        for ended in engine.ended(_POLL_S):
            one, since = state.running.pop(ended.task.key)
            _take(state, place, ended, one, time.monotonic() - since, progress, attempts)
        for one, since in list(state.running.values()):
            if time.monotonic() - since > one.task.seconds + engine.grace:
                engine.stop(one.task)


def _startable(waiting: list[_Waiting], engine: Engine) -> _Waiting | None:
    """Take the first cell that may start now out of those that wait; None: there is none."""
    now = time.monotonic()
    refused = set[tuple[int, int, str | None]]()
    for at, one in enumerate(waiting):
        wants = (one.task.memory, one.task.gpus, one.task.label)
        if one.ready > now or wants in refused:
            continue
        if engine.has_room(one.task):
            return waiting.pop(at)
        refused.add(wants)
    return None


def _take(
    state: _State, place: Place, ended: Ended, one: _Waiting, seconds: float, progress: Progress, attempts: int
) -> None:
    """Take what came of an attempt."""
    task, outcome = ended.task, ended.outcome
    if outcome is not None and outcome.result is not None:
        _finish(state, task, outcome.result, progress, found=outcome.found)
        return
    if outcome is not None and outcome.failure is not None:
        failure = outcome.failure
    else:
        state.lost += 1
        # The worker may have stored the result and been lost before it could say so.
        if (result := results.find(place, task.key)) is not None:
            _finish(state, task, result, progress, found=False)
            return
        failure = Failure(key=task.key, name=task.name, reason=ended.reason, log=ended.log, again=True)
    failure = failure.model_copy(update={"attempts": one.attempts})
    if failure.again and one.attempts < attempts:
        wait = min(_FIRST_WAIT_S * 2 ** (one.attempts - 1), _LONGEST_WAIT_S)
        state.waiting.append(_Waiting(task=task, attempts=one.attempts, ready=time.monotonic() + wait))
        progress.done(str(task.name), seconds, f"lost: {failure.reason}; tried again in {wait:.0f} s")
        return
    results.fail(place, failure)
    state.failed[task.key] = failure
    progress.done(str(task.name), seconds, f"FAILED: {failure.reason} ({_told(state)})")


def _finish(state: _State, task: Task, result: Result, progress: Progress, *, found: bool) -> None:
    state.found[task.key] = result
    if not found:
        state.took.append(result.seconds)
    told = (
        "in the store already"
        if found
        else result.verdict
        if result.verdict != "refused"
        else f"refused: {result.error}"
    )
    left = _left(state)
    more = f", about {left:.0f} s left" if left else ""
    progress.done(str(task.name), result.seconds, f"{told} ({_told(state)}{more})")


def _told(state: _State) -> str:
    done = state.stored_before + len(state.found)
    failed = f", {len(state.failed)} failed" if state.failed else ""
    return f"{done} of {state.total} cells done, {len(state.running)} running{failed}"


def _left(state: _State) -> float | None:
    """About how many seconds the sweep still takes, by what cells took until now."""
    if not state.took:
        return None
    mean, at_once = sum(state.took) / len(state.took), max(1, len(state.running))
    return mean * (len(state.waiting) + len(state.running) / 2) / at_once

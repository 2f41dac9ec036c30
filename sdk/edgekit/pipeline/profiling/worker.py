"""Measure one artifact in a process of its own, so that its memory is its own.

It is started as ``python -m edgekit.pipeline.profiling.worker``.

Takes the path of a `Task` and writes a `Measured` where that says. Imports no more than the runtime does.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, assert_never

import numpy as np

from edgekit.base import memory
from edgekit.base.values import Spec
from edgekit.data.rows import Array
from edgekit.spec import Format

T = TypeVar("T")
# Runs that say how long one takes, and the fewest of each kind, if as many are wanted.
_TRIED = 3
_LEAST_RUNS = 20
# What ExecuTorch calls the kernels of its own libraries.
_KERNEL = "native_call_"


class Task(Spec):
    """What to measure."""

    format: Format
    file: str
    """The artifact."""
    inputs: str
    """An ``.npz`` with one sample; the names are ``0``, ``1`` and so on, in the order of the inputs."""
    names: tuple[str, ...]
    """The names of the inputs."""
    threads: int
    warm_up: int
    runs: int
    """Timed runs."""
    profiled: int
    """Runs under the runtime's own profiler, which are not timed; 0: it is not profiled."""
    seconds: float
    """How long the timed runs may take together: of slow artifacts there are fewer runs, in all three kinds."""
    output: str
    """The file to write."""


class Operation(Spec):
    """What one operation takes."""

    name: str
    operator: str
    mean_ms: float
    outside: bool = False
    """Whether a kernel outside of the delegates computes it."""


class Measured(Spec):
    """What was measured; times in milliseconds."""

    load_ms: float
    first_ms: float
    warm_up: int
    """Runs before those that are timed."""
    runs_ms: tuple[float, ...]
    peak_memory_bytes: int
    operators: tuple[Operation, ...]
    operators_note: str


def main(task: Task) -> Measured:
    """Load, run and profile an artifact."""
    with np.load(task.inputs) as archive:
        inputs = [archive[str(number)] for number in range(len(task.names))]
    match task.format:
        case Format.ONNX:
            prepare, profile = _onnx, _profile_onnx
        case Format.PTE:
            prepare, profile = _pte, _profile_pte
        case Format.AIMODEL:
            raise ValueError(f"nothing here runs a .{task.format} by itself")
        case _:
            assert_never(task.format)
    load = prepare(task, inputs)
    before = memory.begin_peak()
    call, load_ms = _timed(load)
    _, first_ms = _timed(call)
    task = _bounded(task, min(_timed(call)[1] for _ in range(_TRIED)))
    for _ in range(task.warm_up):
        call()
    runs_ms = tuple(_timed(call)[1] for _ in range(task.runs))
    grown = memory.peak() - before
    operators, note = profile(task, inputs) if task.profiled else ((), "")
    return Measured(
        load_ms=load_ms,
        first_ms=first_ms,
        warm_up=task.warm_up,
        runs_ms=runs_ms,
        peak_memory_bytes=max(grown, 0),
        operators=operators,
        operators_note=note,
    )


def _bounded(task: Task, each_ms: float) -> Task:
    """Return the task with as many runs of each kind as its seconds allow when one takes so long; some at least."""
    share = min(1.0, task.seconds * 1e3 / (max(each_ms, 1e-6) * task.runs))
    counts = {"warm_up": task.warm_up, "runs": task.runs, "profiled": task.profiled}
    return task.model_copy(
        update={name: max(min(count, _LEAST_RUNS), int(share * count)) for name, count in counts.items()}
    )


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    value = call()
    return value, (time.perf_counter() - began) * 1e3


def _onnx(task: Task, inputs: list[Array]) -> Callable[[], Callable[[], object]]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.log_severity_level = 4  # what fails is raised, too
    feed = dict(zip(task.names, inputs, strict=True))

    def load() -> Callable[[], object]:
        session = ort.InferenceSession(task.file, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, feed)

    return load


def _pte(task: Task, inputs: list[Array]) -> Callable[[], Callable[[], object]]:
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    portable_lib._unsafe_reset_threadpool(task.threads)
    runtime = Runtime.get()
    tensors = [torch.from_numpy(array) for array in inputs]

    def load() -> Callable[[], object]:
        program = runtime.load_program(task.file)
        method = program.load_method("forward")
        if method is None:
            raise RuntimeError(f"{task.file} has no method named forward")
        # The method reads from the program, which must live as long.
        return lambda: (program, method.execute(tensors))

    return load


def _profile_onnx(task: Task, inputs: list[Array]) -> tuple[tuple[Operation, ...], str]:
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = task.threads
        options.log_severity_level = 4
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(task.file, options, providers=["CPUExecutionProvider"])
        for _ in range(task.profiled):
            session.run(None, dict(zip(task.names, inputs, strict=True)))
        written: str = session.end_profiling()  # type: ignore[no-untyped-call]
        events = json.loads(Path(written).read_text(encoding="utf-8"))
    whole = [event["dur"] / 1e3 for event in events if event["name"] == "model_run"]
    taken: dict[tuple[str, str], list[float]] = {}
    for event in events:
        name = event["name"].removesuffix("_kernel_time")
        if event.get("cat") == "Node" and name != event["name"]:
            taken.setdefault((name, event["args"]["op_name"]), []).append(event["dur"] / 1e3)
    operations = [(name, kind, times) for (name, kind), times in taken.items()]
    return _operations(operations, whole), f"ONNX Runtime's profiler, {task.profiled} runs"


def _profile_pte(task: Task, inputs: list[Array]) -> tuple[tuple[Operation, ...], str]:
    import torch
    from executorch.devtools import Inspector
    from executorch.runtime import Runtime

    with tempfile.TemporaryDirectory() as folder:
        program = Runtime.get().load_program(task.file, enable_etdump=True)
        method = program.load_method("forward")
        assert method is not None  # it was timed before
        for _ in range(task.profiled):
            method.execute([torch.from_numpy(array) for array in inputs])
        dump = Path(folder) / "profile.etdump"
        try:
            program.write_etdump_result_to_file(str(dump), str(Path(folder) / "debug.bin"))
        except RuntimeError:
            return (), "this ExecuTorch was built without event tracing"
        (block,) = [block for block in Inspector(etdump_path=str(dump)).event_blocks if block.name == "Execute"]
    times = {event.name: event.perf_data.raw for event in block.events if event.perf_data is not None}
    whole = times["Method::execute"]
    taken = [  # two delegates may name an operation alike
        (event.name.removeprefix(_KERNEL), event.name.partition(" #")[0].removeprefix(_KERNEL), event.perf_data.raw)
        for event in block.events
        if event.perf_data is not None and (event.is_delegated_op or event.name.startswith(_KERNEL))
    ]
    beside = {event.name.removeprefix(_KERNEL) for event in block.events if event.name.startswith(_KERNEL)}
    told = tuple(one.model_copy(update={"outside": one.name in beside}) for one in _operations(taken, whole))
    return told, f"ExecuTorch's ETDump, {task.profiled} runs"


def _operations(taken: Sequence[tuple[str, str, Sequence[float]]], whole: Sequence[float]) -> tuple[Operation, ...]:
    """Average over the faster half of the runs: what else the machine does is in the slower one."""
    faster = np.argsort(whole, kind="stable")[: max(1, len(whole) // 2)]
    return tuple(
        Operation(name=name, operator=kind, mean_ms=float(np.asarray(times)[faster].mean()))
        for name, kind, times in taken
        if len(times) == len(whole)
    )


if __name__ == "__main__":
    asked = Task.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(asked.output).write_text(main(asked).model_dump_json(), encoding="utf-8")

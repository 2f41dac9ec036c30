"""Hold files against the float model, with code that shares nothing with the SDK: runtimes, ratios, times."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime

from bench.zoo.data import Array, Rows
from bench.zoo.entry import Task
from bench.zoo.tasks import agreement

Values = npt.NDArray[np.float64]
EQUAL_DB = 200.0
_ROUNDS, _ROUND_S, _MOST_CALLS = 9, 0.05, 50

Call = Callable[[tuple[Array, ...]], list[Array]]


def opened(path: Path, *, exact: bool) -> Call:
    """Load a file for one thread, and return what runs it on one sample.

    Args:
        path: A ``.pte`` or ``.onnx`` file.
        exact: Whether ONNX Runtime takes the kernels that compute as ARM's do; else those that it takes by itself.
    """
    portable_lib._unsafe_reset_threadpool(1)
    if path.suffix == ".pte":
        program = Runtime.get().load_program(str(path))
        method = program.load_method("forward")
        assert method is not None

        def run_pte(inputs: tuple[Array, ...], program: object = program) -> list[Array]:
            return [torch.as_tensor(one).numpy() for one in method.execute([torch.from_numpy(one) for one in inputs])]

        return run_pte
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    # A graph may leave out an input that nothing reads; those that remain keep their order.
    return lambda inputs: [np.asarray(one) for one in session.run(None, dict(zip(names, inputs, strict=True)))]


def answers(call: Call, rows: Rows) -> list[Array]:
    """Run a file on samples one by one, and return its outputs with the sample axis first."""
    found = [
        [np.array(one) for one in call(tuple(array[row : row + 1] for array in rows))] for row in range(len(rows[0]))
    ]
    return [np.concatenate(output) for output in zip(*found, strict=True)]


def of_model(model: torch.nn.Module, rows: Rows) -> list[Array]:
    """Run the float model in the same way."""

    def call(inputs: tuple[Array, ...]) -> list[Array]:
        found = model(*[torch.from_numpy(one.copy()) for one in inputs])
        return [one.numpy() for one in ([found] if isinstance(found, torch.Tensor) else found)]

    with torch.inference_mode():
        return answers(call, rows)


def ratios(reference: list[Array], candidate: list[Array]) -> tuple[float, float]:
    """Return the least SQNR over outputs in dB, of what varies over the samples and of everything."""
    pairs = list(zip(reference, candidate, strict=True))
    return min(_db(one, other, varying=True) for one, other in pairs), min(_db(one, other) for one, other in pairs)


def measured(path: Path, rows: Rows, reference: list[Array], task: Task) -> dict[str, float | int | None]:
    """Return what a file's answers are worth, as ``FileResult`` has it."""
    found = answers(opened(path, exact=True), rows)
    if any(one.shape != other.shape for one, other in zip(reference, found, strict=True)):
        raise ValueError(f"shapes {[one.shape for one in found]} instead of {[one.shape for one in reference]}")
    varying, plain = ratios(reference, found)
    return {
        "bytes": path.stat().st_size,
        "sqnr_db": round(varying, 2),
        "plain_db": round(plain, 2),
        "agreement": agreement(task, reference, found),
        "delegates": delegates(path) if path.suffix == ".pte" else None,
    }


def delegates(path: Path) -> int:
    """Return how many pieces of a ``.pte`` delegates run."""
    plan = deserialize_pte_binary(path.read_bytes()).program.execution_plan[0]
    return len(plan.delegates)


def latencies(paths: dict[str, Path], rows: Rows) -> dict[str, tuple[float, float]]:
    """Time files on one sample in turns; least and median over all calls, in milliseconds of this process.

    Everything runs on one thread, so the process's own time is what a quiet machine would take.
    """
    inputs = tuple(array[:1] for array in rows)
    calls = {key: opened(path, exact=False) for key, path in paths.items()}
    counts = {}
    for key, call in calls.items():
        call(inputs)
        start = time.process_time()
        call(inputs)
        counts[key] = int(np.clip(_ROUND_S / max(time.process_time() - start, 1e-6), 1, _MOST_CALLS))
    taken: dict[str, list[float]] = {key: [] for key in calls}
    keys = list(calls)
    for turn in range(_ROUNDS):
        for key in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            for _ in range(counts[key]):
                start = time.process_time()
                calls[key](inputs)
                taken[key].append(time.process_time() - start)
    return {key: (min(times) * 1e3, float(np.median(times)) * 1e3) for key, times in taken.items()}


def _db(reference: Array, candidate: Array, *, varying: bool = False) -> float:
    one, other = reference.astype(np.float64), candidate.astype(np.float64)
    noise = float(np.square(one - other).sum())
    if noise == 0:
        return EQUAL_DB
    signal = float(np.square(one - one.mean(0) if varying else one).sum())
    return (
        float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -EQUAL_DB, EQUAL_DB))
        if np.isfinite(noise)
        else -EQUAL_DB
    )

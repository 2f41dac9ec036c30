"""Measure an artifact: what it computes, and how long one sample takes; the same way for every route."""

import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime

from bench import litert
from bench.results import Drift, Latency
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.drift.metrics import measure
from edgekit.execution import onnx, pte
from edgekit.execution.calls import execute
from edgekit.spec import Cpu, TensorSpec

_BLOCK = 25


@dataclass(frozen=True, kw_only=True)
class Runs:
    """How often an artifact is run to measure its latency."""

    warmup: int = 50
    timed: int = 500


def drift_of(path: Path, samples: Samples, reference: Array, given: TensorSpec, wanted: TensorSpec) -> Drift:
    """Run an artifact on the evaluation samples, one at a time, and hold it against the float model.

    Args:
        path: The artifact; its suffix says what it is.
        samples: The evaluation samples with their labels.
        reference: The float model's logits.
        given: The input.
        wanted: The output.
    """
    match path.suffix:
        case ".pte":
            call = partial(pte.call, pte.load(path), (given,), (wanted,))
            outputs = execute(call, samples, (given,), batch=1)[wanted.name]
        case ".onnx":
            call = partial(onnx.call, onnx.load(path, Cpu.ARM64), (given,), (wanted,))
            outputs = execute(call, samples, (given,), batch=1)[wanted.name]
        case _:
            outputs = litert.execute(path, samples.array(given.name))
    metrics = measure(reference, outputs, logits=True, labels=samples.labels)
    return Drift(sqnr_db=metrics.sqnr_db, accuracy=metrics.accuracy, top1_agreement=metrics.top1_agreement)


def latencies(paths: Mapping[str, Path], sample: Array, name: str, runs: Runs) -> dict[str, Latency]:
    """Time artifacts at batch 1 on one thread, in turns, so that whatever else the machine does hits all alike.

    Args:
        paths: The artifacts by any key.
        sample: One sample, of shape (1, ...).
        name: The name of the input.
        runs: How often.

    Returns:
        Latencies under the same keys.
    """
    portable_lib._unsafe_reset_threadpool(1)
    taken: dict[str, list[float]] = {key: [] for key in paths}
    with contextlib.ExitStack() as stack:
        timers = {key: stack.enter_context(_timer(path, sample, name)) for key, path in paths.items()}
        for timer in timers.values():
            timer.run(runs.warmup)
        keys = list(timers)
        for block in range(0, runs.timed, _BLOCK):
            turn = block // _BLOCK % len(keys)
            for key in keys[turn:] + keys[:turn]:
                taken[key] += timers[key].run(min(_BLOCK, runs.timed - block))
    return {key: summary(seconds) for key, seconds in taken.items()}


def summary(seconds: list[float]) -> Latency:
    """Return median and 95th percentile in milliseconds."""
    return Latency(median_ms=statistics.median(seconds) * 1e3, p95_ms=float(np.percentile(seconds, 95)) * 1e3)


@contextlib.contextmanager
def _timer(path: Path, sample: Array, name: str) -> Iterator["_Timer | litert.Timer"]:
    match path.suffix:
        case ".pte":
            yield _PteTimer(path, sample)
        case ".onnx":
            yield _OnnxTimer(path, sample, name)
        case _:
            with litert.Timer(path, sample) as timer:
                yield timer


class _Timer:
    def call(self) -> None:
        raise NotImplementedError

    def run(self, count: int) -> list[float]:
        """Run so often and return the seconds of each run."""
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            self.call()
            seconds.append(time.perf_counter() - start)
        return seconds


class _PteTimer(_Timer):
    def __init__(self, path: Path, sample: Array) -> None:
        self.program = Runtime.get().load_program(path)
        method = self.program.load_method("forward")
        assert method is not None  # it has just computed the drift
        self.method = method
        self.inputs = [torch.from_numpy(np.ascontiguousarray(sample))]

    def call(self) -> None:
        self.method.execute(self.inputs)


class _OnnxTimer(_Timer):
    """The kernels that ONNX Runtime takes by itself here, not the exact ones of the drift measurement."""

    def __init__(self, path: Path, sample: Array, name: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = {name: sample}

    def call(self) -> None:
        self.session.run(None, self.inputs)

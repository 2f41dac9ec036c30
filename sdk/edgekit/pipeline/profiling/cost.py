"""What an artifact costs on this host: time, memory and bytes, measured in a fresh process each."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.base.child import ISOLATED, environment
from edgekit.bundles.cost import Cost, Histogram, Latency, OperatorTime, kinds_of
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.model.kernels import is_float_kernel
from edgekit.pipeline.profiling.worker import Measured, Operation, Task
from edgekit.spec import Format, TensorSpec

_BINS = 40
_SLOWEST = 4.0  # medians; what took longer is counted in the last bin
_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Runs:
    """How often an artifact is run."""

    threads: int = 1
    """One: the least noisy, and what both runtimes can be held to."""
    warm_up: int = 50
    timed: int = 500
    profiled: int = 100
    seconds: float = 5.0
    """How long the timed runs may take; slower artifacts have fewer runs of each kind, 20 at least."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An artifact to measure."""

    name: str
    format: Format
    precision: Literal["quantized", "float32"]
    data: bytes
    delegated_fraction: float


def measure(subject: Subject, inputs: tuple[TensorSpec, ...], samples: Samples, runs: Runs) -> Cost:
    """Measure one artifact with one sample at a time.

    Args:
        subject: The artifact.
        inputs: What it takes.
        samples: The first of them is fed to it.
        runs: How often.

    Raises:
        RunError: If it cannot be loaded or run.
    """
    found = in_a_process(subject, inputs, samples, runs)
    operators = shared([(one.name, one.operator, one.mean_ms) for one in found.operators])
    return Cost(
        artifact=subject.name,
        format=subject.format,
        precision=subject.precision,
        file_bytes=len(subject.data),
        load_ms=found.load_ms,
        first_ms=found.first_ms,
        latency=latency(found.runs_ms, found.warm_up, runs.threads),
        peak_memory_bytes=found.peak_memory_bytes,
        delegated_fraction=subject.delegated_fraction,
        operators=operators,
        kinds=kinds_of(operators),
        outside_share=_share(subject.format, Format.PTE, found.operators, lambda one: one.outside),
        float_share=_share(subject.format, Format.ONNX, found.operators, lambda one: is_float_kernel(one.operator)),
        operators_note=found.operators_note,
    )


def _share(
    format: Format, told_by: Format, operators: Sequence[Operation], counts: Callable[[Operation], bool]
) -> float | None:
    """Return the share of the measured time that some operations take; None where the runtime does not tell them."""
    total = sum(one.mean_ms for one in operators)
    return sum(one.mean_ms for one in operators if counts(one)) / total if total and format is told_by else None


def in_a_process(subject: Subject, inputs: tuple[TensorSpec, ...], samples: Samples, runs: Runs) -> Measured:
    """Load and run an artifact in a process of its own; see `measure`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "artifact").write_bytes(subject.data)
        rows = [np.ascontiguousarray(samples.inputs[spec.name][: _batch(spec)]) for spec in inputs]
        np.savez(folder / "inputs.npz", allow_pickle=False, **{str(number): row for number, row in enumerate(rows)})
        task = Task(
            format=subject.format,
            file=str(folder / "artifact"),
            inputs=str(folder / "inputs.npz"),
            names=tuple(spec.name for spec in inputs),
            threads=runs.threads,
            warm_up=runs.warm_up,
            runs=runs.timed,
            profiled=runs.profiled,
            seconds=runs.seconds,
            output=str(folder / "measured.json"),
        )
        (folder / "task.json").write_text(task.model_dump_json(), encoding="utf-8")
        command = [*ISOLATED, "-m", "edgekit.pipeline.profiling.worker", str(folder / "task.json")]
        try:
            # S603: our own module.
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=environment()
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(
                f"{subject.name} cannot be measured within {_TIMEOUT_S} s.", hint="Measure a smaller model."
            ) from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise RunError(f"{subject.name} cannot be measured: {said[0]}", hint="Build the bundle again.")
        return Measured.model_validate_json((folder / "measured.json").read_text(encoding="utf-8"))


def _batch(spec: TensorSpec) -> int:
    """Return the least batch that an input takes."""
    first = spec.shape[0] if spec.shape else 1
    return first if isinstance(first, int) else 1


def shared(taken: Sequence[tuple[str, str, float]]) -> tuple[OperatorTime, ...]:
    """Return operations with their shares.

    Args:
        taken: Name, kind and mean time in milliseconds of each, in the order of running.
    """
    total = sum(mean for _, _, mean in taken)
    return tuple(
        OperatorTime(name=name, operator=kind, mean_ms=mean, share=mean / total if total else 0.0)
        for name, kind, mean in taken
    )


def latency(runs_ms: Sequence[float], warm_up: int, threads: int) -> Latency:
    """Return what there is to say of timed runs, given in milliseconds."""
    times = np.array(runs_ms)
    median, p90, p99 = (float(value) for value in np.percentile(times, (50, 90, 99)))
    top = min(float(times.max()), _SLOWEST * median)
    counts, edges = np.histogram(np.minimum(times, top), _BINS, (float(times.min()), top))
    return Latency(
        runs=len(times),
        warm_up=warm_up,
        threads=threads,
        median_ms=median,
        p90_ms=p90,
        p99_ms=p99,
        histogram=Histogram(lo=float(edges[0]), hi=float(edges[-1]), counts=tuple(counts.tolist())),
    )

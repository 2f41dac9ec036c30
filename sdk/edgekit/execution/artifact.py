"""Run an artifact of any format in its own runtime on this host."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from edgekit.base.memory import Memory
from edgekit.base.versions import cpu_name, installed
from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace, precision
from edgekit.execution import isolated, onnx, pte
from edgekit.execution.calls import Call, execute, no_runtime
from edgekit.execution.steady import steady_batch
from edgekit.model.artifact import Artifact
from edgekit.model.program import Source
from edgekit.spec import Cpu, Format, Scheme, TensorSpec

Run = Callable[[Samples, int], dict[str, Rows]]


@dataclass(frozen=True, kw_only=True)
class OpenArtifact:
    """An artifact in its runtime: runs samples, so many at a time, and returns the outputs by name."""

    format: Format
    kernels: str
    run: Run


def open_artifact(
    format: Format,
    source: Path | bytes,
    cpu: Cpu,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    threads: int | None = None,
    memory: Memory | None = None,
) -> OpenArtifact:
    """Load an artifact once and return what runs it.

    Args:
        format: Its format.
        source: The bytes that this process has lowered; or a file that somebody gave us, which runs in a process of its
            own.
        cpu: The processor family of the target.
        inputs: What goes in.
        outputs: What comes out.
        threads: How many threads compute; None: as many as the runtime takes by itself. Only ONNX Runtime can be told.
        memory: Bounds what is held of the outputs.

    Raises:
        RunError: If its runtime cannot load it.
    """
    if isinstance(source, Path):
        child = isolated.load(source, format, cpu, inputs, outputs, threads=threads)
        return OpenArtifact(
            format=format,
            kernels=child.kernels,
            run=_run(partial(isolated.call, child, inputs, outputs), inputs, memory),
        )
    match format:
        case Format.PTE:
            loaded = pte.load(source)
            kernels, call = pte.kernels(), partial(pte.call, loaded, inputs, outputs)
        case Format.ONNX:
            session = onnx.load(source, cpu, threads=threads)
            kernels, call = session.kernels, partial(onnx.call, session, inputs, outputs)
        case Format.AIMODEL:
            raise no_runtime(format)
        case _:
            assert_never(format)
    return OpenArtifact(format=format, kernels=kernels, run=_run(call, inputs, memory))


def _run(call: Call, inputs: tuple[TensorSpec, ...], memory: Memory | None) -> Run:
    return lambda samples, batch: execute(call, samples, inputs, batch=batch, memory=memory)


def trace(
    opened: OpenArtifact, cpu: Cpu, samples: Samples, *, batch: int, model: str, scheme: Scheme | None = None
) -> Trace:
    """Run an opened artifact on samples and say where it ran.

    Args:
        opened: What `open_artifact` returned.
        cpu: The processor family of the target.
        samples: What to feed it.
        batch: Samples per call.
        model: Digest of the float weights it was made from.
        scheme: How it is quantized; None if nobody knows.
    """
    origin = Origin(
        program="artifact",
        device="cpu",
        device_name=cpu_name(),
        dtype=precision(scheme),
        kernels=opened.kernels,
        kernels_of=cpu,
        versions=installed("executorch" if opened.format is Format.PTE else "onnxruntime", "numpy"),
        model=model,
        samples=samples.digest,
    )
    return Trace(samples=samples, outputs=opened.run(samples, batch), origin=origin)


def answers(
    artifact: Artifact,
    source: Source,
    samples: Samples,
    *,
    cpu: Cpu,
    sizes: tuple[int, ...],
    memory: Memory | None = None,
) -> tuple[OpenArtifact, Trace]:
    """Load an artifact as it was lowered and run it on samples.

    Args:
        artifact: The artifact.
        source: The model it was made from.
        samples: What to feed it.
        cpu: The processor family of the target.
        sizes: Batch sizes to choose from, see `steady_batch`.
        memory: Bounds what is held of the outputs.

    Raises:
        RunError: If it does not load or run.
    """
    opened = open_artifact(artifact.format, artifact.data, cpu, source.inputs, source.outputs, memory=memory)
    batch = steady_batch(artifact.format, artifact.scheme, sizes)
    return opened, trace(opened, cpu, samples, batch=batch, model=source.weights_sha256, scheme=artifact.scheme)

"""Run an .onnx in ONNX Runtime on this host, with the arithmetic of the target's processor."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from edgekit.errors import RunError
from edgekit.samples import Array, Samples
from edgekit.spec import Cpu, TensorSpec
from edgekit.versions import host_is_x86, installed


def load(source: Path | bytes, cpu: Cpu) -> ort.InferenceSession:
    """Load an .onnx at the default optimization level.

    Without VNNI, x86 kernels for int8 weights add in 16 bits and saturate; ARM's do not. For a target that is not x86
    the slower exact kernels are taken, so that the host computes what the device will.

    Args:
        source: The file or its bytes.
        cpu: The processor family of the target.

    Raises:
        RunError: If the file is damaged or uses operators that this version lacks.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if exact_kernels(cpu):
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return ort.InferenceSession(
            str(source) if isinstance(source, Path) else source, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        where = source if isinstance(source, Path) else ".onnx"
        raise RunError(f"ONNX Runtime cannot load {where}: {error}", hint="Build the bundle again.") from error


def execute(
    session: ort.InferenceSession,
    samples: Samples,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    batch: int,
) -> dict[str, Array]:
    """Run the samples, ``batch`` at a time, and return the outputs by name.

    Raises:
        RunError: If the runtime refuses the inputs or fails.
    """
    names = [spec.name for spec in outputs]
    rows: list[list[Any]] = []
    for part in samples.batches(batch):
        try:
            rows.append(list(session.run(names, {spec.name: part.inputs[spec.name] for spec in inputs})))
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise RunError(f"ONNX Runtime fails on a batch of {len(part)}: {error}") from error
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}


def exact_kernels(cpu: Cpu) -> bool:
    """Whether this host must be told to compute as the target does."""
    return host_is_x86() and cpu is not Cpu.X86_64


def kernels(cpu: Cpu) -> str:
    """Name the library whose kernels run here, and how it is set."""
    exact = ", exact int8 kernels" if exact_kernels(cpu) else ""
    return f"ONNX Runtime {installed('onnxruntime')['onnxruntime']} CPU{exact}"

"""Run an .onnx in ONNX Runtime on this host, with the arithmetic of the target's processor."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from edgekit.base.versions import host_is_x86, installed
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.spec import Cpu, TensorSpec


@dataclass(frozen=True, kw_only=True)
class LoadedOnnx:
    """A session, and the name of the library whose kernels it runs, with how it is set."""

    session: ort.InferenceSession
    kernels: str


def load(source: Path | bytes, cpu: Cpu, *, threads: int | None = None) -> LoadedOnnx:
    """Load an .onnx at the default optimization level.

    Without VNNI, x86 kernels for int8 weights add in 16 bits and saturate; ARM's do not. For a target that is not x86
    the slower exact kernels are taken, so that the host computes what the device will.

    Args:
        source: The file or its bytes.
        cpu: The processor family of the target.
        threads: How many threads compute an operator; None: one for each core.

    Raises:
        RunError: If the file is damaged or uses operators that this version lacks.
    """
    library = f"ONNX Runtime {installed('onnxruntime')['onnxruntime']} CPU"
    plain = _options(threads)
    if not host_is_x86() or cpu is Cpu.X86_64:
        return LoadedOnnx(session=_session(source, plain), kernels=library)
    exact = _options(threads)
    exact.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return LoadedOnnx(session=_session(source, exact), kernels=f"{library}, exact int8 kernels")
    except RunError:
        # Seen in 1.32: this setting names a tensor twice where one activation feeds several MatMuls, a transformer's
        # attention. The graph as it stands, unfused, computes the same in float between the same roundings.
        unfused = _options(threads)
        unfused.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        return LoadedOnnx(session=_session(source, unfused), kernels=f"{library}, unfused")


def _options(threads: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # what fails is raised, too
    return options


def _session(source: Path | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    where = str(source) if isinstance(source, Path) else source
    try:
        return ort.InferenceSession(where, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        name = source if isinstance(source, Path) else ".onnx"
        raise RunError(f"ONNX Runtime cannot load {name}: {error}", hint="Build the bundle again.") from error


def call(
    loaded: LoadedOnnx, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], part: Samples
) -> dict[str, Array]:
    """Run a batch and return the outputs by name.

    Args:
        loaded: What `load` returned.
        inputs: What goes in.
        outputs: What comes out.
        part: The batch.

    Raises:
        RunError: If the runtime refuses the inputs or fails.
    """
    names = [spec.name for spec in outputs]
    feed = {spec.name: part.array(spec.name) for spec in inputs}
    try:
        results: list[Any] = list(loaded.session.run(names, feed))
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        raise RunError(f"ONNX Runtime fails on a batch of {len(part)}: {error}") from error
    return dict(zip(names, results, strict=True))

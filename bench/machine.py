"""What must be known of the machine to read the numbers."""

import os
import platform
from pathlib import Path

from bench.environments import missing
from bench.litert import runtime_version
from bench.results import Machine
from edgekit.base.versions import cpu_name, host_is_x86, installed

# As Linux names them: x86 and ARM.
_INT8 = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def this_machine() -> Machine:
    """Return the facts about this machine."""
    return Machine(
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        int8=int8_instructions(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def kernels() -> dict[str, str]:
    """Say whose kernels run each format."""
    versions = installed("executorch", "onnxruntime")
    exact = ", with exact int8 kernels," if host_is_x86() else ""
    found = {
        "pte": f"ExecuTorch {versions['executorch']} XNNPACK",
        "onnx": f"ONNX Runtime {versions['onnxruntime']}: as on ARM{exact} for drift, as it sets itself for latency",
    }
    return found if missing("litert") else {**found, "tflite": f"LiteRT {runtime_version()}"}


def int8_instructions() -> tuple[str, ...]:
    """Return those of this processor that multiply int8, as Linux names them."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return ()
    lines = info.read_text(errors="replace").splitlines()
    flags = next((set(line.split()) for line in lines if line.lower().startswith(("flags", "features"))), set())
    return tuple(name for name in _INT8 if name in flags)

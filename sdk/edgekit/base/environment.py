"""What a result depends on beside its inputs, as digests: EdgeKit itself, its tools, and the host."""

import os
import platform
import sys
from pathlib import Path

from edgekit.base import digest
from edgekit.base.versions import cpu_name

PACKAGE = Path(__file__).parents[1]
# What EdgeKit itself is: code, what pages are made from, and what runtimes carry.
_OWN_SUFFIXES = {".py", ".jinja", ".css", ".js", ".json", ".toml"}
# Libraries choose kernels and threads, and so the last digits of the drift, by these.
LIBRARIES = ("ATEN_", "DNNL_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_", "ORT_")


def of_tools() -> str:
    """Return a digest of EdgeKit's source, of Python, and of every installed distribution's name and version."""
    folders = [Path(entry) for entry in sys.path if Path(entry).is_dir()]
    # .dist-info, and the .egg-info of old.
    installed = {found.name for folder in folders for found in folder.glob("*.*-info")}
    return digest.of_json([of_source(), sys.version, sorted(installed)])


def of_host() -> str:
    """Return a digest of the processor, its instruction sets and what else libraries choose their kernels by."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    variables = {name: value for name, value in os.environ.items() if name.startswith(LIBRARIES)}
    return digest.of_json([platform.platform(), cpu_name(), _instruction_sets(), cores, variables])


def of_source() -> dict[str, str]:
    """Return the digests of EdgeKit's own files, by path in the package."""
    files = sorted(file for file in PACKAGE.rglob("*.*") if file.suffix in _OWN_SUFFIXES)
    return {file.relative_to(PACKAGE).as_posix(): digest.of_file(file) for file in files}


def _instruction_sets() -> str:
    """Return the line of Linux that lists them; elsewhere the processor's name tells enough."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")

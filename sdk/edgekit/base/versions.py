"""Installed versions and the name of this machine's processor."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def installed(*packages: str) -> dict[str, str]:
    """Return the versions of those packages that are installed, without local parts such as ``+cpu``."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found


@cache
def cpu_name() -> str:
    """Return the processor's name as the operating system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def has_vnni() -> bool:
    """Whether this machine multiplies integers of 8 bits and adds them in 32; without it kernels may add in 16."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return not {"avx_vnni", "avx512_vnni"}.isdisjoint(flags)


def host_is_x86() -> bool:
    """Whether this machine has an x86-64 processor."""
    return platform.machine().lower() in ("x86_64", "amd64")

"""What fits together on this machine, what is missing, and what mends it. Values only; ``render`` prints them."""

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from edgekit.base import probes, requirements, tools
from edgekit.base.progress import Progress, Stages
from edgekit.targets import extras

Status = Literal["ok", "warn", "fail"]
PYTHON = ((3, 11), (3, 14))
INSTALL = "pip install edgekit"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One result. ``fail`` keeps EdgeKit from working, ``warn`` only some of it."""

    name: str
    status: Status
    found: str
    wanted: str
    remedy: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """The check as JSON."""
        return asdict(self)


def examine(progress: Progress) -> tuple[Check, ...]:
    """Return all checks, the required ones first. Libraries are loaded in processes of their own."""
    stages = Stages(progress)
    with stages("versions"):
        checks = [python(sys.version_info[:3]), *dependencies(own_requirements(), installed_version)]
    with stages("torch"):
        checks.append(torch(probes.run(probes.TORCH)))
    with stages("executorch"):
        checks.append(executorch(probes.run(probes.EXECUTORCH)))
    with stages("onnxruntime"):
        checks.append(onnxruntime(probes.run(probes.ONNXRUNTIME)))
    with stages("processor and tools"):
        checks.append(processor(platform.machine(), Path("/proc/cpuinfo")))
        checks += [tool(item, tools.find(item)) for item in tools.wanted(sys.platform)]
        checks += map(extra, extras.EXTRAS)
    return tuple(checks)


def extra(wanted: extras.Extra) -> Check:
    """Check what is installed for a chip."""
    missing = wanted.missing
    return Check(
        name=f"for {wanted.chip}",
        status="warn" if missing else "ok",
        found=f"without {', '.join(missing)}" if missing else "installed",
        wanted=f"{', '.join(wanted.packages)}: {'makes' if wanted.lowers else 'runs'} its files",
        remedy=wanted.command if missing else "",
    )


def python(version: tuple[int, ...]) -> Check:
    """Check the version of Python."""
    low, high = PYTHON
    return Check(
        name="Python",
        status="ok" if low <= version[:2] < high else "fail",
        found=".".join(map(str, version)),
        wanted=f">={low[0]}.{low[1]},<{high[0]}.{high[1]}",
        remedy="Make the environment with Python 3.11, 3.12 or 3.13: python3.12 -m venv .venv",
    )


def own_requirements() -> list[str] | None:
    """Return the requirements in the installed wheel's metadata, or None if EdgeKit is not installed."""
    try:
        return metadata.requires("edgekit") or []
    except metadata.PackageNotFoundError:
        return None


def installed_version(name: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def dependencies(lines: list[str] | None, installed: Callable[[str], str | None]) -> tuple[Check, ...]:
    """Check the installed packages against requirement lines."""
    if lines is None:
        found = "not installed as a package: versions cannot be checked"
        return (Check(name="edgekit", status="warn", found=found, wanted="installed", remedy="pip install -e ."),)
    return tuple(_dependency(item, installed(item.name)) for item in requirements.parse(lines))


def _dependency(wanted: requirements.Requirement, version: str | None) -> Check:
    fits = version is not None and requirements.satisfies(version, wanted.allowed)
    return Check(
        name=wanted.name,
        status="ok" if fits else "warn" if fits is None else "fail",
        found=version or "missing",
        wanted=wanted.allowed or "any",
        remedy="" if fits else f'pip install "{wanted.name}{wanted.allowed}"',
    )


def torch(found: probes.Found) -> Check:
    """Check that torch loads, and say which devices it sees."""
    if isinstance(found, str):
        return _broken("torch devices", found, "torch loads")
    devices = ", ".join(found["devices"])
    build = f"built for CUDA {found['cuda']}" if found["cuda"] else "built for CPUs only"
    return Check(
        name="torch devices",
        status="ok" if devices else "warn",
        found=f"{devices or 'CPU only'} ({build})",
        wanted="a CUDA GPU for baselines",
        remedy=""
        if devices
        else "Builds work without; record the baseline on the server: edgekit baseline record --device cuda",
    )


def executorch(found: probes.Found) -> Check:
    """Check that ExecuTorch loads and has the backend that .pte files are verified with."""
    if isinstance(found, str):
        return _broken("executorch backends", found, "XnnpackBackend")
    names = found["backends"]
    there = "XnnpackBackend" in names
    return Check(
        name="executorch backends",
        status="ok" if there else "fail",
        found=", ".join(names) or "none",
        wanted="XnnpackBackend",
        remedy="" if there else "pip install --force-reinstall --no-deps executorch==1.5.1",
    )


def onnxruntime(found: probes.Found) -> Check:
    """Check that ONNX Runtime loads and computes on the CPU."""
    if isinstance(found, str):
        return _broken("onnxruntime providers", found, "CPUExecutionProvider")
    names = found["providers"]
    there = "CPUExecutionProvider" in names
    return Check(
        name="onnxruntime providers",
        status="ok" if there else "fail",
        found=", ".join(names) or "none",
        wanted="CPUExecutionProvider",
        remedy="" if there else "pip install --force-reinstall --no-deps onnxruntime",
    )


def _broken(name: str, reason: str, wanted: str) -> Check:
    return Check(name=name, status="fail", found=reason, wanted=wanted, remedy=f"{INSTALL} --force-reinstall")


def processor(machine: str, cpuinfo: Path) -> Check:
    """Check for 8-bit dot products: without them int8 is slower here than on the device, and latencies mislead."""
    wanted = "8-bit dot products"
    text = cpuinfo.read_text(errors="replace").lower() if cpuinfo.is_file() else ""
    lines = [line.partition(":")[2].split() for line in text.splitlines() if line.startswith(("flags", "features"))]
    flags = set(lines[0]) if lines else set()
    there = [flag for flag in ("avx_vnni", "avx512_vnni", "asimddp", "i8mm") if flag in flags]
    if not flags or there:
        found = ", ".join(there) if there else "not told by this system"
        return Check(name="processor", status="ok", found=f"{machine}: {found}", wanted=wanted)
    return Check(
        name="processor",
        status="warn",
        found=f"{machine} without VNNI or dot products",
        wanted=wanted,
        remedy="Results are right all the same; measure int8 latency on the device, not here.",
    )


def tool(item: tools.Tool, found: str | None) -> Check:
    """Check for an optional tool."""
    usable = found is not None and (item.least is None or requirements.release(found) >= item.least)
    least = "" if item.least is None else f" {'.'.join(map(str, item.least))} or newer"
    return Check(
        name=item.name,
        status="ok" if usable else "warn",
        found=found or "missing",
        wanted=f"optional{least}: {item.purpose}",
        remedy="" if usable else item.remedy,
    )

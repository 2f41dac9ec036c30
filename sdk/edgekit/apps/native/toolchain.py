"""The compiler that makes the native program, for this machine's processor or another."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import ToolchainError
from edgekit.spec import Cpu

_TRIPLES = {Cpu.ARM64: "aarch64-linux-gnu", Cpu.X86_64: "x86_64-linux-gnu"}
_MACHINES = {"x86_64": Cpu.X86_64, "amd64": Cpu.X86_64, "aarch64": Cpu.ARM64, "arm64": Cpu.ARM64}
_LEAST = 11  # std::from_chars reads floats from there on


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """A compiler of C and C++ for Linux on one processor."""

    cpu: Cpu
    c: tuple[str, ...]
    """The command that compiles C."""
    cxx: tuple[str, ...]
    """The command that compiles C++, and links."""
    version: str
    """What it says of itself."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it needs."""


def host_cpu() -> Cpu | None:
    """Return this machine's processor family, if programs for Linux run here."""
    return _MACHINES.get(platform.machine().lower()) if sys.platform == "linux" else None


def find(cpu: Cpu, kit: Path | None = None) -> Toolchain:
    """Return a compiler for a processor: this machine's own, one that is installed, or that of a kit.

    Args:
        cpu: The processor family.
        kit: Folder of packages that were unpacked by `edgekit.apps.emulation`.

    Raises:
        ToolchainError: If there is none.
    """
    triple = _TRIPLES[cpu]
    for c, cxx in [*([("gcc", "g++")] if host_cpu() is cpu else []), (f"{triple}-gcc", f"{triple}-g++")]:
        if shutil.which(c) and shutil.which(cxx):
            return _checked(cpu, (c,), (cxx,), {})
    if kit is not None and (found := _in_kit(kit, triple)) is not None:
        return _checked(cpu, *found)
    if host_cpu() is cpu:
        raise ToolchainError("There is no g++ on this machine.", hint="sudo apt install g++")
    raise ToolchainError(
        f"There is no compiler for {cpu} on this machine.",
        hint=f"sudo apt install g++-{triple}, or without root: edgekit verify --setup",
    )


def _in_kit(kit: Path, triple: str) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]] | None:
    """Return the commands of a kit, which is a Debian system's folders at another place."""
    binaries = kit / "usr/bin"
    names = [sorted(binaries.glob(f"{triple}-{kind}-[0-9]*")) for kind in ("gcc", "g++")]
    if not all(names):
        return None
    libraries = [
        kit / part for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu")
    ]
    # The compiler looks for the assembler beside itself; for the other processor's libraries it is told where.
    options = (f"-B{binaries}/{triple}-", f"-B{kit}/usr/{triple}/lib", f"--sysroot={kit}")
    variables = {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))}
    c, cxx = (str(found[-1]) for found in names)
    return (c, *options), (cxx, *options), variables


def _checked(cpu: Cpu, c: tuple[str, ...], cxx: tuple[str, ...], variables: Mapping[str, str]) -> Toolchain:
    said = subprocess.run(  # noqa: S603 - a compiler by its usual name
        [*cxx, "-dumpfullversion", "-dumpmachine"],
        capture_output=True, text=True, check=False, env={**os.environ, **variables},
    )  # fmt: skip
    version = said.stdout.split()
    if said.returncode != 0 or not version or not version[0].split(".")[0].isdigit():
        raise ToolchainError(f"{cxx[0]} does not run: {said.stderr.strip()[:200]}", hint="Install g++ again.")
    if int(version[0].split(".")[0]) < _LEAST:
        raise ToolchainError(
            f"{cxx[0]} is version {version[0]}; the native program needs g++ {_LEAST}.", hint="Install a newer g++."
        )
    return Toolchain(cpu=cpu, c=c, cxx=cxx, version=f"g++ {version[0]}", environment=variables)

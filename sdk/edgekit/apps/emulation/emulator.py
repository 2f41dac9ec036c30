"""The emulator: which there is, and how it is started."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgekit.apps.emulation import kit
from edgekit.errors import ToolchainError

_LEAST = 10
_SYSTEM_ROOT = Path("/usr/aarch64-linux-gnu")
# An old small core, a core of phones of the last years, and a server's: with and without the newer instructions.
USUAL = ("cortex-a53", "cortex-a76", "neoverse-n2")


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """QEMU in user mode for 64-bit ARM, and the C library of such a machine."""

    command: Path
    sysroot: Path
    version: str

    def under(self, cpu_model: str) -> tuple[str, ...]:
        """Return the command that a program is started with, on a model of processor.

        The model is always named: what is taken without one depends on QEMU's version, and has computed wrongly.
        """
        return str(self.command), "-L", str(self.sysroot), "-cpu", cpu_model

    def models(self) -> tuple[str, ...]:
        """Return the models of processors that it knows."""
        done = subprocess.run([self.command, "-cpu", "help"], capture_output=True, text=True, check=False)  # noqa: S603
        return tuple(line.split()[0] for line in done.stdout.splitlines()[1:] if line.split())


def find() -> Emulator:
    """Return the system's emulator if it is new enough, or the kit's.

    Raises:
        ToolchainError: If there is none; it is set up by one command.
    """
    folder = kit.folder()
    places = [(folder / kit.EMULATOR, folder / kit.SYSROOT)] if folder is not None else []
    if (own := shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")) is not None:
        places.append((Path(own), _SYSTEM_ROOT))
    for command, sysroot in places:
        version = _version(command)
        if int(version.partition(".")[0] or 0) >= _LEAST and sysroot.is_dir():
            return Emulator(command=command, sysroot=sysroot, version=version)
    raise ToolchainError(
        f"There is no emulator for 64-bit ARM on this machine (QEMU {_LEAST} or later).",
        hint="Set it up once, in your cache and without root, in about a minute: edgekit verify --setup",
    )


def check_model(emulator: Emulator, model: str) -> None:
    """Refuse a model of processor that the emulator does not know.

    Raises:
        ToolchainError: With models that it knows.
    """
    known = emulator.models()
    if model not in known:
        named = ", ".join(name for name in known if name.startswith(("cortex-a", "neoverse", "max")))
        raise ToolchainError(f"QEMU {emulator.version} knows no processor {model}.", hint=f"It knows {named}.")


def _version(command: Path) -> str:
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    match = re.search(r"version (\d+(?:\.\d+)*)", done.stdout)
    return match[1] if match else ""

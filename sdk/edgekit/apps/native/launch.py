"""Start the native program of a folder, on this machine or under an emulator."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.apps.native.compiling import PROGRAM
from edgekit.errors import BundleError, CompatibilityError, DataError, EdgeKitError, RunError, ToolchainError

_SECONDS = 600.0
# The program's exit codes are those of these classes; it knows no others.
_CLASSES = (DataError, RunError, BundleError, ToolchainError, CompatibilityError)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A native folder, and what its program runs under."""

    folder: Path
    under: tuple[str, ...] = ()
    """The command of an emulator, with its options; none: this machine's own processor."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a run."""

    code: int
    out: str
    error: str

    @property
    def reason(self) -> str:
        """What it says of its failure."""
        lines = (self.error or self.out).strip().splitlines() or ["it says nothing"]
        return f"{lines[-1].removeprefix('edgekit-run: ')} (exit code {self.code})"


def failure(done: Done, what: str, hint: str = "Build the bundle again.") -> EdgeKitError:
    """Return the error that the program's exit code stands for, with what it says."""
    kind = next((one for one in _CLASSES if one.exit_code == done.code), RunError)
    return kind(f"{what}: {done.reason}", hint=hint)


def launch(program: Program, arguments: Sequence[str], *, seconds: float = _SECONDS) -> Done:
    """Run the program with an empty environment, as it runs on a device.

    Args:
        program: The folder.
        arguments: The verb and its options.
        seconds: How long it may take.

    Raises:
        RunError: If it does not start, or does not end in time.
    """
    command = [*program.under, str(program.folder / PROGRAM), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a program that EdgeKit has compiled
            command, capture_output=True, text=True, errors="replace", check=False, env={}, timeout=seconds
        )
    except OSError as error:
        raise RunError(
            f"{command[0]} does not start: {error.strerror}", hint="Build it again with --native."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{command[0]} takes longer than {seconds:.0f} s.", hint="Give it less to compute.") from error
    return Done(code=done.returncode, out=done.stdout, error=done.stderr)

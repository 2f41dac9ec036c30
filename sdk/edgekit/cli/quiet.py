"""Keeps what libraries print out of our own output.

torch, ExecuTorch and ONNX Runtime write warnings, logs and progress to file descriptors 1 and 2, some of it from C++
where ``contextlib.redirect_stdout`` does not reach. So the descriptors themselves are put aside for our own use, and a
temporary file takes their place while a verb works.
"""

import contextlib
import ctypes
import faulthandler
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The terminal's own streams, for our output, and the file that takes everybody else's."""

    out: "Patient"
    err: "Patient"
    noise: BinaryIO | None
    """None with ``--debug``, where the noise goes to ``err``."""

    def last_lines(self, count: int = 20) -> list[str]:
        """Return the last lines that libraries printed."""
        if self.noise is None:
            return []
        _flush()
        self.noise.seek(0)
        return self.noise.read().decode(errors="replace").rstrip().splitlines()[-count:]


class Patient(io.TextIOWrapper):
    """A stream that writes as long as somebody takes it: a full disk or a reader who has gone ends no work.

    The verdict is in the exit code, and bundles are on disk, whether somebody reads what is said of them or not.
    """

    failure: OSError | None = None
    """The first error of the system, after which nothing is written any more."""

    def write(self, text: str) -> int:
        """Write a text, unless a write has failed."""
        self._try(lambda: super(Patient, self).write(text))
        return len(text)

    def flush(self) -> None:
        """Write out what is held."""
        self._try(super().flush)

    def close(self) -> None:
        """Close the stream, whatever becomes of what it holds."""
        with contextlib.suppress(OSError, ValueError):
            super().close()

    def _try(self, work: Callable[[], object]) -> None:
        if self.failure is None:
            try:
                work()
            except OSError as error:
                self.failure = error


@contextlib.contextmanager
def quiet(*, debug: bool) -> Iterator[Streams]:
    """Give file descriptors 1 and 2 to nobody but the caller, until the block ends.

    Args:
        debug: Send what libraries print to standard error instead of swallowing it; standard output stays clean.
    """
    _flush()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(_writer(os.dup(1), sys.stdout))
        err = stack.enter_context(_writer(os.dup(2), sys.stderr))
        noise = None if debug else stack.enter_context(_noise())
        target = err if noise is None else noise
        stack.enter_context(_crash_trace(err))
        stack.callback(_restore, out.fileno(), err.fileno())
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
        yield Streams(out=out, err=err, noise=noise)


def open_missing() -> None:
    """Let standard streams lead nowhere that whoever started us has closed: else the next file takes their place."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def _noise() -> BinaryIO:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # no folder for temporary files can be written
        return Path(os.devnull).open("w+b")


def _writer(descriptor: int, like: TextIO) -> Patient:
    # A terminal that cannot show a character gets a question mark, never an encoding error.
    binary = io.BufferedWriter(io.FileIO(descriptor, "w"))
    return Patient(binary, encoding=like.encoding or "utf-8", errors="replace", line_buffering=True)


@contextlib.contextmanager
def _crash_trace(err: TextIO) -> Iterator[None]:
    """A native crash prints the Python stack where a person sees it: the process dies with no chance to say more."""
    before = faulthandler.is_enabled()
    faulthandler.enable(file=err)
    yield
    faulthandler.disable()
    if before and sys.__stderr__ is not None:
        faulthandler.enable(file=sys.__stderr__)


def _restore(out: int, err: int) -> None:
    _flush()
    os.dup2(out, 1)
    os.dup2(err, 2)


def _flush() -> None:
    """Write out what Python and C hold in their buffers, before the descriptors below them change."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if sys.platform != "win32":
        # C's stdout is fully buffered on a file; left alone it would reach the real stdout at exit.
        ctypes.CDLL(None).fflush(None)

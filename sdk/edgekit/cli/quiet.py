"""Keeps what libraries print out of our own output.

torch, ExecuTorch and ONNX Runtime write warnings, logs and progress to file descriptors 1 and 2, some of it from C++
where ``contextlib.redirect_stdout`` does not reach. So the descriptors themselves are put aside for our own use, and a
temporary file takes their place while a verb works.
"""

import contextlib
import ctypes
import faulthandler
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, TextIO


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The terminal's own streams, for our output, and the file that takes everybody else's."""

    out: TextIO
    err: TextIO
    noise: BinaryIO | None
    """None with ``--debug``, where the noise goes to ``err``."""

    def last_lines(self, count: int = 20) -> list[str]:
        """Return the last lines that libraries printed."""
        if self.noise is None:
            return []
        _flush()
        self.noise.seek(0)
        return self.noise.read().decode(errors="replace").rstrip().splitlines()[-count:]


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
        noise = None if debug else stack.enter_context(tempfile.TemporaryFile())
        target = err if noise is None else noise
        stack.enter_context(_crash_trace(err))
        stack.callback(_restore, out.fileno(), err.fileno())
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
        yield Streams(out=out, err=err, noise=noise)


def _writer(descriptor: int, like: TextIO) -> TextIO:
    # A terminal that cannot show a character gets a question mark, never an encoding error.
    return open(descriptor, "w", encoding=like.encoding or "utf-8", errors="replace", buffering=1)


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

"""What a native library prints while something fails: its own reason, which its error code leaves out."""

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable

# What the runtime says of the host's processor whenever it starts.
_NOISE = ("cpuinfo",)
_MOST = 4


def log_of(again: Callable[[], object]) -> list[str]:
    """Do again what has just failed, and return the lines that libraries write to standard error meanwhile."""
    sys.stderr.flush()
    kept, printed = os.dup(2), io.StringIO()
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(printed):  # a Python binding may hand on what the library prints
                again()
        except RuntimeError:
            pass  # as before
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        lines = (file.read().decode(errors="replace") + printed.getvalue()).splitlines()
    return [line for line in lines if line.strip() and not any(word in line for word in _NOISE)]


def reason(lines: list[str]) -> str:
    """Return the first of the lines as one sentence, without the places in the library's source."""
    return "; ".join(re.sub(r"^\[[^\]]*\]\s*", "", line).rstrip(" .:") for line in lines[:_MOST])

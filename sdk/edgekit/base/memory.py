"""How much memory a build may take, and what follows from it; and how much a process has taken.

Sizes that change what is computed, if only by rounding, follow from what the user gives and from nothing else: the
same project gives the same files on every machine. The machine decides only where results are held.
"""

import contextlib
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

USUAL = 4 * 2**30
"""What sizes are chosen for unless the user says otherwise, in bytes."""
# With 150 MB an EfficientNet-Lite0 of torch takes twice as long for a sample.
_CACHED = 2**23
_GROUP = Path("/sys/fs/cgroup")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_LIMITS = (_GROUP / "memory.max", _GROUP / "memory" / "memory.limit_in_bytes")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bounds in bytes. What torch and the exporters need by themselves, 600 to 900 MB, comes on top."""

    given: int | None = None
    """What the user allows; None: nothing was said."""

    @property
    def walk(self) -> int:
        """Bytes of the largest tensor where all tensors that are still wanted are kept."""
        return (self.given or USUAL) // 2**4

    @property
    def streams(self) -> int:
        """Bytes that the reconstruction of layers holds between two of them."""
        return 5 * (self.given or USUAL) // 2**6

    @property
    def batch(self) -> int:
        """Bytes of the largest tensor of an ordinary forward pass: with those that stay in the cache it is faster."""
        return min((self.given or USUAL) // 2**5, _CACHED)

    @property
    def answers(self) -> int:
        """Bytes of the outputs of a whole sweep, which are held at once."""
        return (self.given or USUAL) // 2**3

    @property
    def ends(self) -> int:
        """Bytes of the inputs, and of the outputs, of one call: activations are some times as large."""
        return (self.given or USUAL) // 2**6

    @property
    def held(self) -> int:
        """Bytes of the outputs of one run that are held in memory; larger ones go to a temporary file."""
        return min(self.given or USUAL, of_machine() or USUAL) // 2**7


def of_machine() -> int | None:
    """Return the bytes that this process may have: those of the machine, or of its control group; None: unknown."""
    known = [limit for path in _LIMITS if (limit := _number(path)) is not None]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not on this system
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(known, default=None)


def begin_peak() -> int:
    """Forget the peak of the resident memory, where the system can, and return how much there is in use, in bytes."""
    try:
        _CLEAR.write_text("5", encoding="ascii")  # proc(5): resets VmHWM
    except OSError:  # another system, or one that does not allow it
        return peak()
    return _resident("VmRSS")


def peak() -> int:
    """Return the peak of this process's resident memory, in bytes: since `begin_peak`, or where it cannot, at all."""
    if _STATUS.exists():
        return _resident("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident(key: str) -> int:
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such limit, or "max"
        return None

"""One at a time in a place: a lock on a folder that the system gives back when its holder dies.

The lock is on the folder itself, ``flock(2)``: it leaves no file, needs no right to write, and counts for all processes
of a machine, in whatever container or namespace of process numbers they run. Some network file systems have no such
lock: there `held` says so, and whoever would tidy up after others does not.
"""

import contextlib
import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import BundleError

PATIENCE_S = 120.0
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def held(folder: Path, patience: float = PATIENCE_S) -> Iterator[bool]:
    """Hold the lock of a folder, once whoever holds it has let go of it.

    Args:
        folder: A folder that is there.
        patience: Seconds to wait for others.

    Yields:
        Whether the file system has locks: if not, nobody is kept out.

    Raises:
        BundleError: If others hold it for longer.
        OSError: If there is no such folder.
    """
    if sys.platform == "win32":
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield _lock(descriptor, folder, time.monotonic() + patience)
    finally:
        os.close(descriptor)  # which unlocks


def _lock(descriptor: int, folder: Path, end: float) -> bool:
    import fcntl  # there is none on Windows

    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                _log.warning("%s is on a file system without locks: let one build at a time write there", folder)
                return False
            if time.monotonic() > end:
                raise BundleError(
                    f"Somebody else writes to {folder}, and did not end.",
                    hint="Wait for the other build or drop, or end it.",
                ) from error
            time.sleep(0.01)
        else:
            return True

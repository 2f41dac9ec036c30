"""Shortcuts through the lowerings, which repeat work on graphs that did not change since it was last done.

The files are byte for byte the same; tests hold that. Functions inside the libraries are replaced while a program is
lowered, and put back. That is done only for the versions that it was tried with; with others, and in a second thread,
lowering goes its plain and slower way.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from edgekit.base.versions import installed

_EXECUTORCH = "1.5.1"
_TORCH = "2.13."

_lowering = threading.Lock()


@contextmanager
def shortcuts() -> Iterator[bool]:
    """Take the shortcuts within the block; yields whether they apply."""
    if not _tried(installed("executorch", "torch")) or not _lowering.acquire(blocking=False):
        yield False
        return
    try:
        from edgekit.lowering import repetition  # its private names need not exist in other versions

        with ExitStack() as stack:
            stack.enter_context(_no_garbage_collection())
            for owner, name, value in repetition.stand_ins():
                if name in vars(owner):
                    stack.callback(setattr, owner, name, vars(owner)[name])
                else:
                    stack.callback(delattr, owner, name)
                setattr(owner, name, value)
            yield True
    finally:
        _lowering.release()


def _tried(versions: dict[str, str]) -> bool:
    return versions.get("executorch") == _EXECUTORCH and versions.get("torch", "").startswith(_TORCH)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect no cycles: collections walk all of torch's objects each time, 0.2 to 0.5 s for 30 MB in the sample."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

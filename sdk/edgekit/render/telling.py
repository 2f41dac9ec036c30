"""Who is told about the stages of a call from Python that names nobody."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.base.progress import Progress, Silent
from edgekit.render.terminal import TerminalProgress


@contextmanager
def telling(progress: Progress | None) -> Iterator[Progress]:
    """Yield who is told: whom the caller names; a person at a terminal or before a notebook; else nobody.

    A script whose output goes to a file or a pipe says what its author says.
    """
    if progress is not None:
        yield progress
    elif _in_notebook():
        yield TerminalProgress(sys.stdout)  # one line a stage
    elif sys.stderr is not None and sys.stderr.isatty():
        with TerminalProgress(sys.stderr) as shown:
            yield shown
    else:
        yield Silent()


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this; that its module is imported alone says nothing of that."""
    kernel = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return kernel is not None and bool(kernel.initialized())

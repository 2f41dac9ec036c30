"""Work on files of others in a process of its own, with limits: what crashes, hangs or swells there is an answer here.

The child gets no secret: of the environment it has what libraries are found and set by.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from edgekit.base.environment import LIBRARIES
from edgekit.base.frames import ClosedError, Facts, receive, send

_START_S = 300.0
_KEPT = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
    "LANG", "LC_ALL",
)  # fmt: skip
# Addresses that a thread takes for its stack and its heap, whether it uses them or not.
_THREAD = 2**27
# A folder that somebody works in may hold anything: nothing is imported from there.
ISOLATED = (sys.executable, "-P")
PYTHON = (*ISOLATED, "-m")
"""What runs a module of ours."""


class ChildError(Exception):
    """A child ended or was ended; the text says why, to go on ``... in its runtime``."""


class Child:
    """One child, which answers questions in order until it ends."""

    def __init__(self, module: str, *arguments: str, memory: int, program: tuple[str, ...] = PYTHON) -> None:
        """Start a module that calls `serve`, and wait until its libraries are loaded.

        Args:
            module: The module, which is ours.
            arguments: What it takes.
            memory: Bytes that it may have beside its libraries, where the system can hold it to that.
            program: What runs the module. Another than Python holds itself to no limit of memory.

        Raises:
            ChildError: If it does not start.
        """
        self._memory = memory
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [*program, module, str(read), str(write), str(memory), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            pass_fds=(read, write),
            env=environment(),
        )
        os.close(read)
        os.close(write)
        os.set_blocking(self._out, False)
        self.close = weakref.finalize(self, _close, self._process, (self._in, self._out), self._said)
        self._answer(_START_S, 0)

    def ask(
        self, facts: Facts, parts: Sequence[bytes | memoryview] = (), *, seconds: float, most: int = 0
    ) -> tuple[Facts, list[bytes]]:
        """Return the answer to a question.

        Args:
            facts: The question.
            parts: The bytes that belong to it.
            seconds: How long the answer may take.
            most: How many bytes may come with it.

        Raises:
            ChildError: If the child crashes, or takes too long or too much memory; it has ended then.
        """
        with contextlib.suppress(ClosedError, TimeoutError):  # why is seen below
            send(self._out, facts, parts, seconds=seconds)
        return self._answer(seconds, most)

    def _answer(self, seconds: float, most: int) -> tuple[Facts, list[bytes]]:
        try:
            return receive(self._in, seconds=seconds, most=most)
        except TimeoutError:
            self.close()
            raise ChildError(f"takes longer than {seconds:.0f} s, which is the limit for its size") from None
        except ClosedError:
            raise ChildError(self._ended()) from None

    def _ended(self) -> str:
        """Say how the child ended."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL  # it goes on, and makes no sense
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        self.close()
        if any("bad_alloc" in line or "MemoryError" in line for line in lines[-20:]):
            return f"wants more memory than the {self._memory / 2**30:.1f} GiB that are the limit for its size"
        return f"crashes ({signal.Signals(-code).name})" if code < 0 else f"ends the process with exit code {code}"


def _close(process: "subprocess.Popen[bytes]", descriptors: tuple[int, int], said: IO[bytes]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    process.kill()
    process.wait()
    said.close()


def environment() -> dict[str, str]:
    """Return the environment of a child: no secret of whoever started us is in it."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(LIBRARIES)}
    return {
        **kept,
        "MALLOC_ARENA_MAX": "4",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def serve(answer: Callable[[Facts, list[bytes]], tuple[Facts, Sequence[bytes | memoryview]]]) -> None:
    """Be the child: answer questions until there are no more. What the module imports comes before this.

    Args:
        answer: Answers one question.
    """
    read, write, memory = map(int, sys.argv[1:4])
    _limit(memory)
    send(write, {})
    while True:
        try:
            question = receive(read)
        except ClosedError:
            return
        send(write, *answer(*question))


def _limit(memory: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        pages = [int(word) for word in Path("/proc/self/statm").read_text(encoding="ascii").split()]
        room = memory + _THREAD * (os.cpu_count() or 1)
        for kind, used, more in ((resource.RLIMIT_AS, pages[0], room), (resource.RLIMIT_DATA, pages[5], memory)):
            limit = used * resource.getpagesize() + more
            resource.setrlimit(kind, (limit, limit))

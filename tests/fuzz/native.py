"""Artifacts: what reads and runs them is native, and gets a process of its own for each file, as in EdgeKit."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
from executorch.exir._serialize import _program  # noqa: F401 - loaded once, before children are forked

from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import onnx, pte
from edgekit.inspection import pte as inspection
from edgekit.spec import Cpu
from tests.fuzz.formats import Format
from tests.programs.test_isolated import INPUTS, OUTPUTS, TINY, model, tiny_pte

_SECONDS = 10
_MEMORY = 2**30


class ContainedError(RunError):
    """A child ended before it answered: EdgeKit tells that as a `RunError`."""


def _forked(work: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what does some work in a child with the limits that EdgeKit's own have."""

    def read(folder: Path) -> None:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_SECONDS)
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            code = 0
            try:
                work(folder)
            except BaseException:
                code = 1
            os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            raise ContainedError(f"{'hang' if name == 'SIGALRM' else 'crash'} in a child ({name})")

    return read


def _run_pte(folder: Path) -> None:
    pte.call(pte.load(folder / "a.pte"), *TINY, Samples(inputs={"x": np.zeros((1, 4), np.float32)}))


def _run_onnx(folder: Path) -> None:
    loaded = onnx.load(folder / "a.onnx", Cpu.ARM64, threads=1)
    onnx.call(loaded, INPUTS, OUTPUTS, Samples(inputs={"x": np.zeros((2, 3), np.float32)}))


def _inspect_pte(folder: Path) -> None:
    inspection.read(folder / "a.pte")


def _make_pte(folder: Path) -> None:
    (folder / "a.pte").write_bytes(tiny_pte())


def _make_onnx(folder: Path) -> None:
    (folder / "a.onnx").write_bytes(model().SerializeToString())


NATIVE = (
    Format(name="pte run", file="a.pte", kind="", make=_make_pte, read=_forked(_run_pte), share=1),
    Format(name="pte inspect", file="a.pte", kind="", make=_make_pte, read=_forked(_inspect_pte), share=1),
    Format(name="onnx run", file="a.onnx", kind="", make=_make_onnx, read=_forked(_run_onnx), share=1),
)

"""The process that runs an artifact of others: ``python -m edgekit.execution.runner``, started by ``isolated``.

The first question loads the file, each further one runs a batch.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from pydantic import TypeAdapter

from edgekit.base import child
from edgekit.base.frames import Facts
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution.calls import Call, no_runtime
from edgekit.spec import Cpu, Format, TensorSpec

Open = Callable[[Path, Cpu, int | None], tuple[Call, str]]
_SPECS = TypeAdapter(tuple[TensorSpec, ...])


class Runner:
    """One artifact, once it is loaded."""

    def __init__(self, format: Format) -> None:
        """Begin without one; the format's runtime is loaded now, and no other."""
        match format:
            case Format.PTE:
                self._open = self._pte()
            case Format.ONNX:
                self._open = self._onnx()
            case Format.AIMODEL:
                raise no_runtime(format)
            case _:
                assert_never(format)
        self._inputs: tuple[TensorSpec, ...] = ()
        self._outputs: tuple[TensorSpec, ...] = ()
        self._call: Call | None = None

    def _pte(self) -> Open:
        from edgekit.execution import pte

        def opened(path: Path, cpu: Cpu, threads: int | None) -> tuple[Call, str]:
            return partial(pte.call, pte.load(path), self._inputs, self._outputs), pte.kernels()

        return opened

    def _onnx(self) -> Open:
        from edgekit.execution import onnx

        def opened(path: Path, cpu: Cpu, threads: int | None) -> tuple[Call, str]:
            session = onnx.load(path, cpu, threads=threads)
            return partial(onnx.call, session, self._inputs, self._outputs), session.kernels

        return opened

    def answer(self, facts: Facts, parts: list[bytes]) -> tuple[Facts, Sequence[bytes | memoryview]]:
        """Load the file, or run a batch; what the runtime refuses is an answer, too."""
        try:
            return self._load(facts) if self._call is None else self._run(self._call, facts, parts)
        except RunError as error:
            return {"error": error.message, "hint": error.hint, "notes": list(getattr(error, "__notes__", ()))}, ()
        except MemoryError:
            raise
        except Exception as error:  # a binding may raise anything where a file is damaged
            return {"error": f"{type(error).__name__}: {error}", "hint": "Build the bundle again.", "notes": []}, ()

    def _load(self, facts: Facts) -> tuple[Facts, Sequence[bytes]]:
        self._inputs, self._outputs = (_SPECS.validate_json(str(facts[key])) for key in ("inputs", "outputs"))
        threads = facts["threads"]
        path, cpu = Path(str(facts["file"])), Cpu(str(facts["cpu"]))
        self._call, kernels = self._open(path, cpu, threads if isinstance(threads, int) else None)
        return {"kernels": kernels}, ()

    def _run(self, call: Call, facts: Facts, parts: list[bytes]) -> tuple[Facts, Sequence[bytes]]:
        shapes: Any = facts["shapes"]
        arrays = {
            spec.name: np.frombuffer(part, np.dtype(spec.dtype)).reshape(shape)
            for spec, part, shape in zip(self._inputs, parts, shapes, strict=True)
        }
        found = [np.ascontiguousarray(one) for one in call(Samples(inputs=arrays)).values()]
        kinds = [[one.dtype.name, list(one.shape)] for one in found]
        return {"outputs": kinds}, [one.tobytes() for one in found]  # type: ignore[dict-item]


if __name__ == "__main__":
    child.serve(Runner(Format(sys.argv[-1])).answer)

"""A chip's library in a process of its own: these print, abort, and hold what they were given.

The child is a module that ends in ``serve(load)``; ``load`` is given the file and the settings, and returns what runs a
batch, what was seen of the file, and files that were compiled of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.base import child
from edgekit.base.child import PYTHON, Child, ChildError
from edgekit.base.frames import Facts
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.spec import TensorSpec

Batch = Mapping[str, Array]
Loaded = tuple[Callable[[Batch], Sequence[Array]], Facts, Sequence[bytes]]
Load = Callable[[bytes, Facts], Loaded]
_LOAD_S, _RUN_S = 600.0, 300.0
_MEMORY = 2**34
_LARGEST = 2**34


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A child that has loaded a file."""

    title: str
    """What it simulates, for messages."""
    child: Child
    outputs: tuple[TensorSpec, ...]
    found: Facts
    """What was seen of the file."""
    compiled: tuple[bytes, ...]
    """Files that were compiled of it."""

    def call(self, part: Samples) -> dict[str, Array]:
        """Run a batch and return the outputs by name.

        Raises:
            RunError: If the library refuses it, crashes or does not end.
        """
        read = self.compute({name: part.array(name) for name in part.inputs})
        return dict(zip((spec.name for spec in self.outputs), read, strict=True))

    def compute(self, batch: Batch) -> list[Array]:
        """Run a batch and return the outputs in order.

        Raises:
            RunError: If the library refuses it, crashes or does not end.
        """
        arrays = [np.ascontiguousarray(one) for one in batch.values()]
        kinds: Any = [[name, one.dtype.name, list(one.shape)] for name, one in zip(batch, arrays, strict=True)]
        parts = [one.reshape(-1).view(np.uint8).data for one in arrays]
        found, answers = _ask(self.title, self.child, {"inputs": kinds}, parts, _RUN_S)
        described: Any = found["outputs"]
        return [
            np.frombuffer(answer, np.dtype(kind)).reshape(shape)
            for answer, (kind, shape) in zip(answers, described, strict=True)
        ]


def start(
    title: str,
    module: str,
    data: bytes,
    settings: Facts,
    outputs: tuple[TensorSpec, ...],
    *,
    program: tuple[str, ...] = PYTHON,
    arguments: tuple[str, ...] = (),
) -> Simulator:
    """Load a file in a child.

    Args:
        title: What it simulates, for messages.
        module: The child's module.
        data: The file.
        settings: What the module is told.
        outputs: The model's outputs, in order.
        program: What runs the module, where that is not Python.
        arguments: What the module takes.

    Raises:
        RunError: If the library refuses the file, or crashes.
    """
    try:
        process = Child(module, *arguments, memory=_MEMORY, program=program)
    except ChildError as error:
        raise RunError(f"{title} {error} when it is started.", hint="See `edgekit doctor`.") from error
    found, compiled = _ask(title, process, settings, [data], _LOAD_S)
    return Simulator(title=title, child=process, outputs=outputs, found=found, compiled=tuple(compiled))


def _ask(
    title: str, process: Child, facts: Facts, parts: Sequence[bytes | memoryview], seconds: float
) -> tuple[Facts, list[bytes]]:
    try:
        found, answers = process.ask(facts, parts, seconds=seconds, most=_LARGEST)
    except ChildError as error:
        raise RunError(f"{title} {error}.", hint="Leave this target out, or report it with the file.") from error
    if "error" in found:
        raise RunError(f"{title} refuses the file: {found['error']}", hint="Leave this target out: docs/chips.md.")
    return found, answers


def serve(load: Load) -> None:
    """Be the child: load a file, then answer batches until there are no more.

    Args:
        load: Loads the file.
    """
    run: Callable[[Batch], Sequence[Array]] | None = None

    def answer(facts: Facts, parts: list[bytes]) -> tuple[Facts, Sequence[bytes | memoryview]]:
        nonlocal run
        try:
            if run is None:
                run, found, files = load(parts[0], facts)
                return found, files
            kinds: Any = facts["inputs"]
            batch = {
                name: np.frombuffer(part, np.dtype(kind)).reshape(shape)
                for (name, kind, shape), part in zip(kinds, parts, strict=True)
            }
            arrays = [np.ascontiguousarray(one) for one in run(batch)]
        except MemoryError:
            raise
        except Exception as error:  # a library may raise anything
            return {"error": f"{type(error).__name__}: {error}"}, ()
        described: Any = [[one.dtype.name, list(one.shape)] for one in arrays]
        return {"outputs": described}, [one.tobytes() for one in arrays]

    child.serve(answer)

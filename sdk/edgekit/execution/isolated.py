"""Run an artifact that somebody gave us in a process of its own: what is made to crash its runtime takes nothing along.

Files that this process has lowered itself run in it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from edgekit.base.child import Child, ChildError
from edgekit.base.frames import Facts
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.spec import Cpu, Format, TensorSpec

_SPECS = TypeAdapter(tuple[TensorSpec, ...])
_HINT = "The file is damaged or made to do this: do not trust where it came from. Build the bundle again."
# What a file and its tensors may need: weights are packed anew, activations are some times as large as the ends.
_LEAST, _PER_BYTE, _PER_VALUE = 2**30, 16, 64 * 8
_LEAST_S, _BYTES_A_SECOND = 10.0, 2**20
_LARGEST_ENDS = 2**34


@dataclass(frozen=True, kw_only=True)
class IsolatedArtifact:
    """An artifact that a child has loaded."""

    child: Child
    name: str
    bytes: int
    kernels: str


def load(
    path: Path,
    format: Format,
    cpu: Cpu,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    threads: int | None = None,
    rows: int = 64,
) -> IsolatedArtifact:
    """Load an artifact in a child.

    Args:
        path: The file.
        format: Its format.
        cpu: The processor family of the target.
        inputs: What goes in.
        outputs: What comes out.
        threads: How many threads compute; None: as many as the runtime takes by itself.
        rows: Samples that a call may have: memory is bounded by them, and by the file.

    Raises:
        RunError: If it does not load, crashes, or takes longer or more memory than a file of its size may.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", hint="Build the bundle again.") from error
    values = rows * sum(
        math.prod(side if isinstance(side, int) else 1 for side in one.shape) for one in (*inputs, *outputs)
    )
    memory = _LEAST + _PER_BYTE * size + min(_PER_VALUE * values, _LARGEST_ENDS)
    facts: Facts = {
        "file": str(path.resolve()),
        "cpu": cpu.value,
        "threads": threads,
        "inputs": _SPECS.dump_json(inputs).decode(),
        "outputs": _SPECS.dump_json(outputs).decode(),
    }
    try:
        child = Child("edgekit.execution.runner", format.value, memory=memory)
        found, _ = child.ask(facts, seconds=_seconds(size, 1))
    except ChildError as error:
        raise RunError(f"{path} {error} when it is loaded.", hint=_HINT) from error
    return IsolatedArtifact(child=child, name=str(path), bytes=size, kernels=str(_checked(found)["kernels"]))


def call(
    loaded: IsolatedArtifact, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], part: Samples
) -> dict[str, Array]:
    """Run a batch and return the outputs by name.

    Args:
        loaded: What `load` returned.
        inputs: What goes in.
        outputs: What comes out.
        part: The batch.

    Raises:
        RunError: If the runtime refuses the inputs, fails, crashes or does not end.
    """
    arrays = [np.ascontiguousarray(part.array(one.name), np.dtype(one.dtype)) for one in inputs]
    parts = [one.reshape(-1).view(np.uint8).data for one in arrays]
    shapes: Any = [list(one.shape) for one in arrays]
    try:
        found, answers = loaded.child.ask(
            {"shapes": shapes}, parts, seconds=_seconds(loaded.bytes, len(part)), most=_LARGEST_ENDS
        )
    except ChildError as error:
        raise RunError(f"{loaded.name} {error} when it runs.", hint=_HINT) from error
    kinds: Any = _checked(found)["outputs"]
    try:
        read = [
            np.frombuffer(answer, np.dtype(kind)).reshape(shape)
            for answer, (kind, shape) in zip(answers, kinds, strict=True)
        ]
        return dict(zip((one.name for one in outputs), read, strict=True))
    except (ValueError, TypeError) as error:
        raise RunError(f"{loaded.name} gives other outputs than it should: {error}", hint=_HINT) from error


def _seconds(size: int, rows: int) -> float:
    return _LEAST_S + max(rows, 1) * size / _BYTES_A_SECOND


def _checked(found: Facts) -> Facts:
    """Return an answer that is none of an error."""
    if "error" not in found:
        return found
    failure = RunError(str(found["error"]), hint=str(found["hint"]))
    notes = found["notes"]
    for note in notes if isinstance(notes, list) else ():
        failure.add_note(str(note))
    raise failure

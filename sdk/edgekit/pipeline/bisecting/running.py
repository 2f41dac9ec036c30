"""Run a .pte with inner values as outputs, in this process or in one of its own."""

import math
import tempfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import isolated, pte
from edgekit.execution.calls import Call
from edgekit.model.program import Source
from edgekit.pipeline.bisecting.ptefile import PteFile
from edgekit.pipeline.profiling.observing import Run
from edgekit.spec import Cpu, Format, TensorSpec


def running(
    file: str, opened: PteFile, names: Collection[str], cpu: Cpu, source: Source, *, rows: int, foreign: bool
) -> Run:
    """Return what runs a batch through a copy of a .pte, and gives its outputs and some inner values by name.

    Inner values have their dimensions in PyTorch's order.

    Args:
        file: The file's name, for messages.
        opened: The file, which is left as it was.
        names: Which inner values to give.
        cpu: The processor family of the target.
        source: Its inputs and outputs.
        rows: Samples to run at once, at most.
        foreign: Whether the file is of somebody else: it is then run in a process of its own.

    Raises:
        RunError: If ExecuTorch cannot load the copy, or, when it is called, run it.
    """
    rows = opened.rows if opened.fixed else min(rows, opened.rows)
    data, given = opened.tapped(names, rows)
    inner = [opened.inner[name] for name in given]
    specs = (
        *source.outputs,
        *(
            # A file of somebody else may have names that no output of a project has.
            TensorSpec(name=f"edgekit_tap_{at}", shape=("batch", max(1, math.prod(one.value.dims) // opened.rows)))
            for at, one in enumerate(inner)
        ),
    )
    call = _call(data, source, specs, cpu, rows, foreign=foreign)

    def run(part: Samples) -> Mapping[str, Array]:
        try:
            pieces = [
                {name: np.array(array) for name, array in call(piece).items()}
                for piece in part.batches(rows, multiple=rows if opened.fixed else 1)
            ]
        except RunError as error:
            raise RunError(f"{file} fails with its inner values as outputs: {error}", hint=error.hint) from error
        found = {
            spec.name: np.concatenate([piece[spec.name] for piece in pieces])[: len(part)] for spec in source.outputs
        }
        for at, one in enumerate(inner):
            parts = [one.in_order(piece[f"edgekit_tap_{at}"]) for piece in pieces]
            found[one.name] = np.concatenate(parts) if parts[0].ndim and len(parts) > 1 else parts[0]
        return found

    return run


def plain(data: bytes, cpu: Cpu, source: Source, *, opened: PteFile, foreign: bool) -> Run:
    """Return what runs a batch through a .pte as it is, and gives its outputs by name."""
    call = _call(data, source, source.outputs, cpu, opened.rows, foreign=foreign)

    def run(part: Samples) -> Mapping[str, Array]:
        pieces = [
            {name: np.array(array) for name, array in call(piece).items()}
            for piece in part.batches(opened.rows, multiple=opened.rows if opened.fixed else 1)
        ]
        return {
            spec.name: np.concatenate([piece[spec.name] for piece in pieces])[: len(part)] for spec in source.outputs
        }

    return run


def _call(data: bytes, source: Source, specs: tuple[TensorSpec, ...], cpu: Cpu, rows: int, *, foreign: bool) -> Call:
    if not foreign:
        return partial(pte.call, pte.load(data), source.inputs, specs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tapped.pte"
        path.write_bytes(data)
        child = isolated.load(path, Format.PTE, cpu, source.inputs, specs, rows=rows)
    return partial(isolated.call, child, source.inputs, specs)

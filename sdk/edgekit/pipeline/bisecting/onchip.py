"""A chip's library in place of a runtime: what it computes inside of an .onnx, or at the outputs of any file."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgekit.chips import Copy, Trial
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.errors import RunError
from edgekit.execution.calls import Call
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Executed
from edgekit.pipeline.bisecting.against import Against
from edgekit.pipeline.profiling.observing import Run
from edgekit.pipeline.profiling.tapped import Opener
from edgekit.spec import CPU_CHIP, TensorSpec
from edgekit.targets import extras

NEXT_STEP = 0.5
"""Share of the values of a place that a chip may give on the next step: it multiplies and looks functions up with fewer
bits. Hexagon's hard-swish does so with 15% of them, and is told as a note. Two steps are two steps there, too."""


def opening(against: Against) -> tuple[Opener | None, str]:
    """Return what loads copies of an .onnx in the library of its chip, and words on where they are run.

    Args:
        against: What the file is held against.

    Returns:
        None where the target is a CPU, or where nothing here runs files of its chip: ONNX Runtime's kernels for
        processors then do, and the words say so.
    """
    target, load = against.target, against.chip.open
    if target.chip.name == CPU_CHIP:
        return None, ""
    extra = extras.of_chip(target.chip.name)
    missing = extra.why if extra is not None and extra.missing else ""
    if load is None or missing:
        why = missing or "nothing here runs its files"
        return None, f"By ONNX Runtime's kernels for processors, not by {against.chip.title}'s: {why}. "
    source = source_with_batch(against.program.captured.source, against.own.batch)

    def opened(data: bytes, outputs: tuple[TensorSpec, ...]) -> Run:
        call = load(Copy(data=data, outputs=outputs, source=source, target=target))
        return _in_batches(call, source.batch or 1)

    return opened, f"By {against.chip.title}, as a build runs it. "


def on_chip(against: Against, data: bytes | None = None) -> tuple[Trace, str]:
    """Return what a file gives on the chip, for all samples or the first of them, and words on where it was run.

    Args:
        against: What it is held against.
        data: The file; the one that was lowered from the program unless given.

    Raises:
        RunError: If nothing here runs the chip's files, or its library refuses this one, or it is far from its program.
    """
    source, samples = against.program.captured.source, against.samples
    artifact = against.own if data is None else replace(against.own, data=data)
    memory = against.job.memory
    tried = against.chip.run(
        Trial(
            artifact=artifact,
            target=against.target,
            source=source,
            samples=samples,
            quantized=against.program,
            answers=run_quantized(against.program, samples),
            host=run_float(source, samples, memory=memory),
            memory=memory,
        )
    )
    if tried.on_chip is not None and tried.on_chip.executed is Executed.NOT_EXECUTED:
        # What stands for its answers is the program's own.
        raise RunError(
            f"{artifact.file} cannot be held against its program: it is for {against.chip.title}, and "
            f"{tried.on_chip.library}.",
            hint="Bisect a bundle of the same project for another target.",
        )
    where = "" if tried.on_chip is None else f", {tried.on_chip.library}"
    return tried.answers, f"{against.chip.title}{where} does not show what lies inside"


def _in_batches(call: Call, batch: int) -> Run:
    """Return what runs samples in calls of so many, as the chip takes them."""

    def run(part: Samples) -> Mapping[str, Array]:
        pieces = [
            {name: np.array(array) for name, array in call(piece).items()}
            for piece in part.batches(batch, multiple=batch)
        ]
        return {name: np.concatenate([piece[name] for piece in pieces])[: len(part)] for name in pieces[0]}

    return run

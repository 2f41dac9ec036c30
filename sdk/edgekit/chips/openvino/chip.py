"""Run an .onnx in OpenVINO's CPU plugin: the runtime of the device itself, on this machine."""

from typing import Any

import numpy as np

from edgekit import lowering
from edgekit.base.versions import has_vnni, installed
from edgekit.chips.chip import Chip, Copy, Trial, Tried
from edgekit.chips.measure import measured, not_executed
from edgekit.chips.simulator import Simulator, start
from edgekit.data.rows import whole
from edgekit.data.trace import Trace
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.calls import Call
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Executed, OnChip
from edgekit.spec import Format
from edgekit.targets import extras

_RUNNER = "edgekit.chips.openvino.runner"
_CHIP = "x86-64 CPU with VNNI and OpenVINO"
_SATURATED = 64
_NOTE = (
    "{file}: this processor has no VNNI, without which OpenVINO's int8 kernels add in 16 bits and saturate. Its layers "
    "were computed in float between their roundings, as exact kernels do; those of this processor are {db:.1f} dB from "
    "the program ({count} samples). For such processors take the .onnx of linux-x86_64."
)


def run(trial: Trial) -> Tried:
    """Run an .onnx in OpenVINO, and see which of its layers compute with integers.

    Where this processor's kernels for int8 saturate, the layers are computed in float between their roundings; how far
    off the kernels are is measured beside.

    Raises:
        RunError: If the library refuses it, or it computes something else than its program.
    """
    artifact = trial.artifact
    extra = extras.of_chip(trial.target.chip.name)
    if extra is not None and extra.missing:
        return not_executed(trial, _CHIP, extra.why)
    exact = has_vnni()
    source = source_with_batch(trial.source, artifact.batch)
    executed = Executed.HOST if exact else Executed.SIMULATED
    library = _library(exact=exact)
    copy = Copy(data=artifact.data, outputs=source.outputs, source=source, target=trial.target)
    own = _started(copy, library, integers=True)
    runner = own if exact else _started(copy, library, integers=False)
    answers = measured(trial, runner.call, f"{library}, {executed}", installed("openvino", "numpy"))
    in_float: Any = own.found["in_float"]
    figures: Any = own.found["figures"]
    notes: tuple[str, ...] = ()
    if not exact and (db := _from_program(trial, own, answers)) is not None:
        figures = {**figures, "db_without_vnni": db}
        notes = (_NOTE.format(file=artifact.file, db=db, count=min(len(answers), _SATURATED)),)
    told = OnChip(
        chip=_CHIP, executed=executed, library=library, samples=len(answers), elsewhere=tuple(in_float), figures=figures
    )
    return Tried(answers=answers, on_chip=told, batches=(source.batch or 1,), notes=notes)


def opened(copy: Copy) -> Call:
    """Load a copy as a build runs the file: where this processor's kernels saturate, in float between its roundings.

    Raises:
        RunError: If the library refuses it.
    """
    exact = has_vnni()
    return _started(copy, _library(exact=exact), integers=exact).call


def _library(*, exact: bool) -> str:
    return f"OpenVINO {installed('openvino')['openvino']}, CPU plugin{'' if exact else ' without its int8 kernels'}"


def _started(copy: Copy, library: str, *, integers: bool) -> Simulator:
    outputs: Any = [spec.name for spec in copy.outputs]
    return start(library, _RUNNER, copy.data, {"outputs": outputs, "integers": integers}, copy.outputs)


def _from_program(trial: Trial, own: Simulator, answers: Trace) -> float | None:
    """Return how far this processor's own kernels are from the program, in dB; None: nowhere, or nothing is float."""
    found = []
    samples = answers.samples.rows(slice(0, _SATURATED))
    parts = [own.call(part) for part in samples.batches(trial.source.batch or 1, multiple=trial.source.batch or 1)]
    for name, expected in trial.answers.first(len(samples)).outputs.items():
        if np.issubdtype(expected.dtype, np.floating):
            got = np.concatenate([part[name] for part in parts])[: len(samples)]
            found.append(sqnr_db(whole(expected), got))
    return min((db for db in found if db is not None), default=None)


CHIP = Chip(
    title="OpenVINO on a CPU",
    name_of=lowering.name,
    lower=lowering.lower,
    run=run,
    open=opened,
    formats=frozenset({Format.ONNX}),
)

"""Lower for Hexagon, and run what was lowered in Qualcomm's own library on this machine's processor."""

from dataclasses import replace
from typing import Any

from edgekit import lowering
from edgekit.base import digest
from edgekit.base.cache import Cache
from edgekit.base.versions import installed
from edgekit.chips.chip import Chip, Copy, Trial, Tried
from edgekit.chips.hexagon import settings as options
from edgekit.chips.islands import float_islands, integer_fraction
from edgekit.chips.measure import not_executed, simulated
from edgekit.chips.simulator import Simulator, start
from edgekit.execution.calls import Call
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Compiled, Executed, OnChip
from edgekit.model.program import Quantized, Source
from edgekit.spec import Format, Placing, Target
from edgekit.targets import extras

_RUNNER = "edgekit.chips.hexagon.runner"
_PROVIDER = "QNNExecutionProvider"


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .onnx of a program, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be lowered.
        TargetError: If the profile lacks what the chip's compiler must be told.
    """
    options.of_target(target)
    artifact, known = lowering.lower(format, target, quantized, cache)
    islands, whole = float_islands(quantized), integer_fraction(quantized)
    return replace(artifact, delegates=(_PROVIDER,), left_out=islands, int8_fraction=whole), known


def run(trial: Trial) -> Tried:
    """Run an .onnx on the simulation of its system on a chip, and compile it for that one ahead of time.

    Raises:
        RunError: If the library refuses it, or it computes something else than its program.
    """
    artifact, target = trial.artifact, trial.target
    extra = extras.of_chip(target.chip.name)
    islands = tuple(one.told for one in artifact.left_out)
    soc = " ".join(target.chip.socs) or target.name
    if extra is not None and extra.missing:
        return not_executed(trial, soc, extra.why)
    source = source_with_batch(trial.source, artifact.batch)
    library = _library(target)
    simulator = _started(Copy(data=artifact.data, outputs=source.outputs, source=source, target=target))
    answers = simulated(trial, simulator.call, library, "onnxruntime-qnn", "onnxruntime")
    elsewhere: Any = simulator.found["elsewhere"]
    files = {f"compiled/model.{target.name}.onnx": data for data in simulator.compiled if data}
    told = OnChip(
        chip=soc,
        executed=Executed.SIMULATED,
        library=library,
        samples=len(answers),
        elsewhere=(*elsewhere, *islands),
        compiled=tuple(
            Compiled(file=file, sha256=digest.of_bytes(data), bytes=len(data), soc=soc) for file, data in files.items()
        ),
    )
    return Tried(answers=answers, on_chip=told, files=files, batches=(source.batch or 1,))


def opened(copy: Copy) -> Call:
    """Load a copy on the simulation of its system on a chip.

    Raises:
        RunError: If the library refuses it.
    """
    return _started(copy).call


def _library(target: Target) -> str:
    version = installed("onnxruntime-qnn")["onnxruntime-qnn"]
    return f"QNN HTP v{options.of_target(target).htp_arch} of onnxruntime-qnn {version}"


def _started(copy: Copy) -> Simulator:
    settings, source = options.of_target(copy.target), copy.source
    dtypes: Any = {spec.name: spec.dtype for spec in source.inputs}
    outputs: Any = [spec.name for spec in copy.outputs]
    facts = {
        "arch": settings.htp_arch,
        "soc": settings.soc_model,
        "sizes": _sizes(source),
        "dtypes": dtypes,
        "outputs": outputs,
    }
    soc = " ".join(copy.target.chip.socs) or copy.target.name
    return start(f"{_library(copy.target)} ({soc})", _RUNNER, copy.data, facts, copy.outputs)


def _sizes(source: Source) -> Any:
    """Return the one size that each symbolic dimension gets: this chip takes no others; a batch of one sample."""
    first = {spec.shape[0] for spec in source.inputs}
    return {name: size.least if name in first else size.max for name, size in source.dimensions.items()}


CHIP = Chip(
    title="Qualcomm Hexagon NPU",
    name_of=lambda format, target, scheme: f"{lowering.name(format, target, scheme)} of integers alone",
    lower=lower,
    run=run,
    open=opened,
    formats=frozenset({Format.ONNX}),
    placing=Placing(everywhere=True),
    check=options.of_target,
)

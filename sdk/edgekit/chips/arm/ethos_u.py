"""Lower for an Ethos-U NPU with Vela, and run what was lowered on the reference model of TOSA."""

import contextlib
import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.base.versions import installed
from edgekit.chips.arm import written
from edgekit.chips.arm.plan import Delegate, read
from edgekit.chips.arm.prepare import prepare
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.measure import simulated
from edgekit.chips.simulator import Simulator, start
from edgekit.errors import RunError, TargetError
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Executed, OnChip
from edgekit.model.program import Quantized
from edgekit.spec import Format, Placing, Target

_RUNNER = "edgekit.chips.arm.ethos_u_runner"
_PACKAGES = ("ethos-u-vela", "tosa-tools", "executorch")
# What gives a delegate its integers, and reads its answers.
_EDGES = {"quantized_decomposed::quantize_per_tensor", "quantized_decomposed::dequantize_per_tensor"}


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be lowered.
        TargetError: If the profile names no accelerator that Vela knows.
    """
    flags = _spec(target).compiler_flags
    settings = (format.value, "ethos-u", *flags, installed(*_PACKAGES))
    return lowering.kept(quantized, cache, settings, lambda program: _lower(program, target))


def _lower(quantized: Quantized, target: Target) -> Artifact:
    import executorch.kernels.quantized  # noqa: F401
    from executorch.backends.arm.ethosu import EthosUPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.exir.schema import KernelCall

    program, spec = written.alone(quantized), _spec(target)
    with tempfile.TemporaryDirectory() as scratch, written.refusing(quantized, target.chip.socs[0]):
        spec.dump_intermediate_artifacts_to(scratch)
        prepare(program)
        with contextlib.redirect_stdout(io.StringIO()), written.quiet("executorch.backends"):
            edge = to_edge_transform_and_lower(program, partitioner=[EthosUPartitioner(spec)])
            executable = edge.to_executorch()
        graphs = sorted(Path(scratch).glob("output_tag*.tosa"), key=_number)
        reference = tuple(graph.read_bytes() for graph in graphs)
    plan = executable.executorch_program.execution_plan[0]
    names = [
        plan.operators[call.instr_args.op_index].name
        for call in plan.chains[0].instructions
        if isinstance(call.instr_args, KernelCall)
    ]
    elsewhere = [name for name in names if name not in _EDGES and name not in written.MOVES]
    inside = written.computed(quantized)
    found = written.artifact(quantized, executable, elsewhere, max(inside, len(elsewhere)))
    return replace(found, reference=reference)


def _number(path: Path) -> int:
    return int("".join(re.findall(r"tag(\d+)", path.name)) or 0)


def run(trial: Trial) -> Tried:
    """Run a .pte, its delegates on the reference model of TOSA, from which Vela makes the streams in the file.

    Raises:
        RunError: If the file is damaged, its streams are not those of the graphs that are run, or it computes something
            else than its program.
    """
    artifact, target = trial.artifact, trial.target
    plan, versions = read(artifact.data), installed(*_PACKAGES)
    (soc,) = target.chip.socs
    library = f"TOSA's reference model of tosa-tools {versions['tosa-tools']}, Vela {versions['ethos-u-vela']}"
    flags: Any = _spec(target).compiler_flags
    simulators = [start(f"{library} ({soc})", _RUNNER, graph, {"flags": flags}, ()) for graph in artifact.reference]
    delegates = [_delegate(stream, simulators, number) for number, stream in enumerate(plan.delegated)]
    source = source_with_batch(trial.source, artifact.batch)
    names = [spec.name for spec in source.outputs]
    answers = simulated(trial, plan.caller(names, delegates), library, *_PACKAGES)
    told = OnChip(
        chip=soc,
        executed=Executed.SIMULATED,
        library=library,
        samples=len(answers),
        elsewhere=artifact.not_delegated,
        figures={**_figures(simulators), "planned_bytes": float(artifact.planned_bytes or 0)},
    )
    return Tried(answers=answers, on_chip=told, batches=(source.batch or 1,))


def _delegate(stream: bytes, simulators: Sequence[Simulator], number: int) -> Delegate:
    """Return what computes a delegate: the graph from which Vela makes its stream."""
    simulator = next((one for one in simulators if one.compiled == (stream,)), None)
    if simulator is None:
        raise RunError(
            f"Vela makes another stream than that of delegate {number} in the file: it is damaged, or of another Vela.",
            hint="Build it again.",
        )

    def run(given: Sequence[Tensor]) -> list[Tensor]:
        arrays = {str(place): one.contiguous().numpy() for place, one in enumerate(given)}
        return [torch.from_numpy(one.copy()) for one in simulator.compute(arrays)]

    return run


def _figures(simulators: Sequence[Simulator]) -> dict[str, float]:
    """Return Vela's figures: memory is used again by each stream, all else adds up."""
    found: dict[str, float] = {}
    for simulator in simulators:
        figures: Any = simulator.found["figures"]
        for name, value in figures.items():
            before = found.get(name, 0.0)
            found[name] = max(before, value) if name.endswith("kib") else before + value
    return found


def _spec(target: Target) -> Any:
    from executorch.backends.arm.ethosu import EthosUCompileSpec

    options: dict[str, Any] = dict(target.chip.options)
    try:
        return EthosUCompileSpec(options.pop("accelerator", ""), **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TargetError(
            f"{target.name}: chip.options: {error}",
            hint="Compare it with a shipped profile: edgekit targets show ethos-u85-256",
        ) from error


CHIP = Chip(
    title="Arm Ethos-U",
    name_of=lambda format, target, scheme: f"{scheme} .pte of Vela's for {target.chip.options}",
    lower=lower,
    run=run,
    formats=frozenset({Format.PTE}),
    placing=Placing(everywhere=True),
    check=_spec,
)

"""Lower by way of graphs in TOSA's language, of which a compiler makes what a chip reads; the graphs run here."""

import contextlib
import io
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.base.frames import Facts
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
from edgekit.spec import Format, Placing, Scheme, Target

_MODEL = "tosa-tools"
# What gives a delegate its integers, and reads its answers.
_EDGES = {"quantized_decomposed::quantize_per_tensor", "quantized_decomposed::dequantize_per_tensor"}


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """What makes a stream for a chip of a graph of TOSA."""

    title: str
    """What a person calls it."""
    package: str
    """The distribution that has it."""
    runner: str
    """The module of the child that compiles a graph, for the stream in the file to be held against, and runs it."""
    settings: Callable[..., Any]
    """Makes ExecuTorch's settings of the options of a target's chip."""
    partitioner: Callable[[Any], Any]
    """Returns ExecuTorch's partitioner with such settings."""
    like: str
    """A shipped target of its, for messages."""
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    """Is entered while a program is lowered."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions that decide what is written and what is computed here."""
        return (self.package, _MODEL, "executorch")

    def spec(self, target: Target) -> Any:
        """Return ExecuTorch's settings for a target.

        Raises:
            TargetError: If the profile has options that the compiler does not know.
        """
        try:
            return self.settings(**target.chip.options)
        except (RuntimeError, TypeError, ValueError) as error:
            raise TargetError(
                f"{target.name}: chip.options: {error}",
                hint=f"Compare it with a shipped profile: edgekit targets show {self.like}",
            ) from error


def chip(compiler: Compiler, title: str, name_of: Callable[[Format, Target, Scheme], str]) -> Chip:
    """Return the chip that a compiler is for.

    Args:
        compiler: The compiler.
        title: What a person calls the chip.
        name_of: Names what decides the bytes of an artifact, for people.
    """
    return Chip(
        title=title,
        name_of=name_of,
        lower=lambda format, target, quantized, cache: lower(compiler, target, quantized, cache),
        run=lambda trial: run(compiler, trial),
        formats=frozenset({Format.PTE}),
        placing=Placing(everywhere=True),
        check=compiler.spec,
    )


def lower(compiler: Compiler, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be lowered.
        TargetError: If the profile has options that the compiler does not know.
    """
    spec = compiler.spec(target)
    settings = (
        Format.PTE.value,
        target.chip.name,
        str(spec.tosa_spec),
        *spec.compiler_flags,
        installed(*compiler.packages),
    )
    return lowering.kept(quantized, cache, settings, lambda program: _lower(compiler, target, program))


def _lower(compiler: Compiler, target: Target, quantized: Quantized) -> Artifact:
    program, spec = written.alone(quantized), compiler.spec(target)

    import executorch.kernels.quantized  # noqa: F401
    from executorch.exir import to_edge_transform_and_lower
    from executorch.exir.schema import KernelCall

    with tempfile.TemporaryDirectory() as scratch, written.refusing(quantized, target.name), compiler.around():
        spec.dump_intermediate_artifacts_to(scratch)
        prepare(program)
        with contextlib.redirect_stdout(io.StringIO()), written.quiet("executorch.backends"):
            edge = to_edge_transform_and_lower(program, partitioner=[compiler.partitioner(spec)])
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


def run(compiler: Compiler, trial: Trial) -> Tried:
    """Run a .pte, its delegates on the reference model of TOSA, from whose graphs the compiler makes the streams in it.

    Raises:
        RunError: If the file is damaged, its streams are not those of the graphs that are run, or it computes something
            else than its program.
    """
    artifact, target = trial.artifact, trial.target
    plan, versions = read(artifact.data), installed(*compiler.packages)
    soc = " ".join(target.chip.socs) or target.name
    made = f"{compiler.title} {versions[compiler.package]}"
    library = f"TOSA's reference model of {_MODEL} {versions[_MODEL]}, {made}"
    settings: Facts = {"flags": list(compiler.spec(target).compiler_flags)}
    simulators = [start(f"{library} ({soc})", compiler.runner, graph, settings, ()) for graph in artifact.reference]
    delegates = [_delegate(compiler, stream, simulators, number) for number, stream in enumerate(plan.delegated)]
    source = source_with_batch(trial.source, artifact.batch)
    names = [spec.name for spec in source.outputs]
    answers = simulated(trial, plan.caller(names, delegates), library, *compiler.packages)
    told = OnChip(
        chip=soc,
        executed=Executed.SIMULATED,
        library=library,
        samples=len(answers),
        elsewhere=artifact.not_delegated,
        figures={**_figures(simulators), "planned_bytes": float(artifact.planned_bytes or 0)},
    )
    return Tried(answers=answers, on_chip=told, batches=(source.batch or 1,))


def _delegate(compiler: Compiler, stream: bytes, simulators: Sequence[Simulator], number: int) -> Delegate:
    """Return what computes a delegate: the graph from which the compiler makes its stream."""
    simulator = next((one for one in simulators if one.compiled == (stream,)), None)
    if simulator is None:
        raise RunError(
            f"{compiler.title} makes another stream than that of delegate {number} in the file: it is damaged, or of "
            "another version.",
            hint="Build it again.",
        )

    def run(given: Sequence[Tensor]) -> list[Tensor]:
        arrays = {str(place): one.contiguous().numpy() for place, one in enumerate(given)}
        return [torch.from_numpy(one.copy()) for one in simulator.compute(arrays)]

    return run


def _figures(simulators: Sequence[Simulator]) -> dict[str, float]:
    """Return the compiler's figures: memory is used again by each stream, all else adds up."""
    found: dict[str, float] = {}
    for simulator in simulators:
        figures: Any = simulator.found["figures"]
        for name, value in figures.items():
            before = found.get(name, 0.0)
            found[name] = max(before, value) if name.endswith("kib") else before + value
    return found

"""Lower for a microcontroller with the kernels of CMSIS-NN, and compute what was lowered with their model in Python."""

from executorch.backends.cortex_m.edge_compile_config import cortex_m_edge_compile_config
from executorch.backends.cortex_m.target_config import CortexMTargetConfig
from executorch.exir import EdgeProgramManager, to_edge

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.base.versions import installed
from edgekit.chips.arm import written
from edgekit.chips.arm.integers import write_integers
from edgekit.chips.arm.plan import read
from edgekit.chips.arm.prepare import prepare
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.measure import simulated
from edgekit.errors import TargetError
from edgekit.lowering.rewriting import drop_unused
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Executed, OnChip
from edgekit.model.program import Quantized
from edgekit.spec import Format, Placing, Target

_SPACE = "cortex_m::"


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be lowered.
        TargetError: If the profile names no core.
    """
    config = _config(target)
    settings = (format.value, "cortex-m", config.target_string)
    return lowering.kept(quantized, cache, settings, lambda program: _lower(program, config))


def _lower(quantized: Quantized, config: CortexMTargetConfig) -> Artifact:
    program = written.alone(quantized)
    from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager  # needs the extra

    with written.refusing(quantized, "CMSIS-NN"), written.quiet("executorch.backends"):
        prepare(program)
        write_integers(program)
        edge = to_edge(program, compile_config=cortex_m_edge_compile_config())
        passes = CortexMPassManager(edge.exported_program(), target_config=config, use_explicit_layout=True)
        lowered = passes.transform()
        drop_unused(lowered)  # the kernels have copies of the weights, in another order
        executable = EdgeProgramManager(lowered).to_executorch()
    plan = executable.executorch_program.execution_plan[0]
    names = [plan.operators[call.instr_args.op_index].name for call in plan.chains[0].instructions]
    elsewhere = [name for name in names if not name.startswith(_SPACE) and name not in written.MOVES]
    return written.artifact(quantized, executable, elsewhere, len(names))


def run(trial: Trial) -> Tried:
    """Compute a .pte's plan with the kernels' model in Python.

    Raises:
        RunError: If the file is damaged, or computes something else than its program.
    """
    artifact, config = trial.artifact, _config(trial.target)
    plan = read(artifact.data)
    source = source_with_batch(trial.source, artifact.batch)
    names = [spec.name for spec in source.outputs]
    version = installed("executorch")["executorch"]
    library = f"CMSIS-NN's kernels for {config.target_string}, their model in executorch {version}"
    answers = simulated(trial, plan.caller(names), library, "executorch")
    told = OnChip(
        chip=config.target_string,
        executed=Executed.SIMULATED,
        library=library,
        samples=len(answers),
        elsewhere=artifact.not_delegated,
        figures={"planned_bytes": float(artifact.planned_bytes or 0), "file_bytes": float(len(artifact.data))},
    )
    return Tried(answers=answers, on_chip=told, batches=(source.batch or 1,))


def _config(target: Target) -> CortexMTargetConfig:
    core = target.chip.options.get("core", "")
    try:
        return CortexMTargetConfig.from_target_string(core)
    except ValueError as error:
        raise TargetError(
            f"{target.name}: chip.options.core: {error}",
            hint="Compare it with a shipped profile: edgekit targets show cortex-m55",
        ) from error


CHIP = Chip(
    title="Arm Cortex-M",
    name_of=lambda format, target, scheme: f"{scheme} .pte of CMSIS-NN's kernels for {target.chip.options.get('core')}",
    lower=lower,
    run=run,
    formats=frozenset({Format.PTE}),
    placing=Placing(everywhere=True),
    check=_config,
)

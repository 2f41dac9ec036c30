"""Lower for Core AI, and run what was lowered in Apple's own runtime on this machine's processor."""

from typing import Any

from edgekit import lowering
from edgekit.base.versions import installed
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.measure import not_executed, simulated
from edgekit.chips.simulator import start
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Executed, OnChip
from edgekit.spec import Format
from edgekit.targets import extras

_RUNNER = "edgekit.chips.coreai.runner"
_CHIP = "Apple A17 Pro, M1 or later"


def run(trial: Trial) -> Tried:
    """Run an .aimodel in Apple's CPU runtime.

    Raises:
        RunError: If the runtime refuses it, or it computes something else than its program.
    """
    artifact = trial.artifact
    extra = extras.of_chip(trial.target.chip.name)
    if extra is not None and extra.missing:
        return not_executed(trial, _CHIP, extra.why)
    source = source_with_batch(trial.source, artifact.batch)
    library = f"CPU runtime of coreai-core {installed('coreai-core')['coreai-core']}"
    names: Any = [spec.name for spec in source.outputs]
    runner = start(library, _RUNNER, artifact.data, {"outputs": names}, source.outputs)
    answers = simulated(trial, runner.call, library, "coreai-core", "coreai-torch")
    told = OnChip(
        chip=_CHIP,
        executed=Executed.SIMULATED,
        library=library,
        samples=len(answers),
        elsewhere=tuple(one.told for one in artifact.left_out),
    )
    return Tried(answers=answers, on_chip=told, batches=(source.batch or 1,))


CHIP = Chip(
    title="Apple Core AI", name_of=lowering.name, lower=lowering.lower, run=run, formats=frozenset({Format.AIMODEL})
)

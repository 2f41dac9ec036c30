"""A .pte that nothing here runs: that it is whole, and for its delegate, is all that can be said of it."""

from executorch.exir._serialize._program import deserialize_pte_binary

from edgekit.chips.chip import Trial, Tried
from edgekit.chips.measure import not_executed
from edgekit.errors import RunError


def looked_into(trial: Trial, chip: str, why: str) -> Tried:
    """Read a .pte, and let the quantized program stand in for what it computes.

    Args:
        trial: The artifact, and what it was to be tried with.
        chip: The chip that it is for.
        why: Why nothing here runs it.

    Raises:
        RunError: If it is damaged, or for another delegate than it was lowered for.
    """
    artifact = trial.artifact
    try:
        (plan,) = deserialize_pte_binary(artifact.data).program.execution_plan
    except Exception as error:  # damaged bytes fail wherever the reader happens to step on them
        raise RunError(f"{artifact.file} is damaged: {error!r:.300}", hint="Build it again.") from error
    found = tuple(sorted({one.id for one in plan.delegates}))
    if found != artifact.delegates:
        raise RunError(
            f"{artifact.file} is for {', '.join(found) or 'no delegate'}, and was lowered for "
            f"{', '.join(artifact.delegates)}.",
            hint="Build it again: it is not what was lowered.",
        )
    return not_executed(trial, chip, why)

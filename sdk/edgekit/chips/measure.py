"""Run samples on a chip's library for as long as it may take: what a chip does in a millisecond takes one a second."""

import time
from collections.abc import Callable, Mapping

from edgekit.base.versions import cpu_name, installed
from edgekit.chips.chip import Trial, Tried
from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace, precision
from edgekit.execution.calls import Call, execute
from edgekit.execution.proof import hold_against_program
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Beside, Executed, OnChip

_LEAST = 2


def simulated(trial: Trial, call: Call, kernels: str, *packages: str) -> Trace:
    """Run samples as `measured` does, on what stands for a chip.

    Args:
        trial: The artifact, and what it is tried with.
        call: Runs a batch.
        kernels: The library that computes, with its version, and the chip that it stands for.
        packages: The distributions that it consists of.

    Raises:
        RunError: If it fails, or computes something else than its program.
    """
    return measured(trial, call, f"{kernels}, simulated", installed(*packages, "numpy"))


def measured(trial: Trial, call: Call, kernels: str, versions: Mapping[str, str]) -> Trace:
    """Run as many of the samples, the first ones, as there is time for, and hold the answers against the program's.

    Args:
        trial: The artifact, and what it is tried with.
        call: Runs a batch.
        kernels: The library that computes, with its version.
        versions: The versions of all that it consists of, by name.

    Raises:
        RunError: If it fails, or computes something else than its program.
    """
    source = source_with_batch(trial.source, trial.artifact.batch)
    batch = source.batch or 1

    def run(samples: Samples) -> dict[str, Rows]:
        return execute(call, samples, source.inputs, batch=batch, memory=trial.memory)

    samples = trial.samples
    samples = samples.rows(slice(0, _fitting(run, samples, batch, trial.seconds)))
    origin = Origin(
        program="artifact",
        device="cpu",
        device_name=cpu_name(),
        dtype=precision(trial.artifact.scheme),
        kernels=kernels,
        versions=dict(versions),
        model=trial.source.weights_sha256,
        samples=samples.digest,
    )
    answers = Trace(samples=samples, outputs=run(samples), origin=origin)
    program, host = trial.answers.first(len(samples)), trial.host.first(len(samples))
    hold_against_program(trial.artifact.file, answers, program, host, source.outputs)
    return answers


def not_executed(trial: Trial, chip: str, why: str, page: tuple[Beside, ...] = ()) -> Tried:
    """Let the quantized program stand in for a file that nothing here runs.

    Args:
        trial: The artifact, and what it was to be tried with.
        chip: The chip that it is for.
        why: The reason, for a person.
        page: The page that loads the artifact in a browser.
    """
    artifact = trial.artifact
    islands = tuple(one.told for one in artifact.left_out)
    told = OnChip(chip=chip, executed=Executed.NOT_EXECUTED, library=why, samples=0, elsewhere=islands, page=page)
    note = f"{artifact.file} was not executed: {why}"
    return Tried(answers=trial.answers, on_chip=told, batches=(trial.source.batch or 1,), notes=(note,))


def _fitting(run: Callable[[Samples], object], samples: Samples, batch: int, seconds: float) -> int:
    """Return how many samples can be run in so many seconds; of all that there are, all."""
    few = samples.rows(slice(0, _LEAST * batch))
    run(samples.rows(slice(0, batch)))  # what a library does once is not every sample's
    begun = time.monotonic()
    run(few)
    each = (time.monotonic() - begun) / len(few)
    count = int(seconds / max(each, 1e-6))
    if count >= len(samples):
        return len(samples)
    return max(len(few), count)

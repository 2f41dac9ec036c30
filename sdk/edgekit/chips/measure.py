"""Run samples on a chip's library for as long as it may take: what a chip does in a millisecond takes one a second."""

import time
from collections.abc import Mapping

from edgekit.base.versions import cpu_name, installed
from edgekit.chips.chip import Trial, Tried
from edgekit.data.gathered import Gathered
from edgekit.data.rows import Rows, some
from edgekit.data.trace import Origin, Trace, precision
from edgekit.execution.calls import Call
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
    outputs, count = _run(trial, call, source.batch or 1)
    samples = trial.samples if count == len(trial.samples) else trial.samples.rows(slice(0, count))
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
    answers = Trace(samples=samples, outputs=outputs, origin=origin)
    program, host = trial.answers.first(count), trial.host.first(count)
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


def _run(trial: Trial, call: Call, batch: int) -> tuple[dict[str, Rows], int]:
    """Run batches until there are none left or the time is over; return the outputs, and of how many samples."""
    call(next(trial.samples.batches(batch, multiple=batch)))  # what a library does once is not every sample's
    end, done = time.monotonic() + trial.seconds, 0
    found = Gathered(len(trial.samples), trial.memory.held)
    for part in trial.samples.batches(batch, multiple=batch):
        if done >= _LEAST * batch and time.monotonic() > end:
            break
        found.add(call(part))
        done += len(part)
    count = min(done, len(trial.samples))
    return {name: some(rows, slice(0, count)) for name, rows in found.rows().items()}, count

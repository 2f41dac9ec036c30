"""Verify an artifact in its own runtime on this host, as the app that loads it would run it."""

from edgekit.data.trace import Trace
from edgekit.execution import artifact as runs
from edgekit.execution import orders
from edgekit.execution.eager import run_quantized
from edgekit.execution.proof import hold_against_program, prove
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Quantized, Source
from edgekit.pipeline.job import Job
from edgekit.spec import Target
from edgekit.targets.runtimes import check


def verify(artifact: Artifact, target: Target, job: Job, program: tuple[Quantized, Trace], host: Trace) -> Trace:
    """Run an artifact on the evaluation samples, prove it in all orders of batches, and return its answers.

    Args:
        artifact: The artifact.
        target: The target, for its processor.
        job: The job, for its samples.
        program: What the artifact was lowered from, and its answers.
        host: The float model's answers.

    Raises:
        RunError: If it does not load or run, answers a sample in another way in another batch, or computes something
            else than its program.
    """
    quantized, answers = program
    source = source_with_batch(job.source, artifact.batch)
    prove(artifact, source, job.evaluation, target.cpu, lambda part: run_quantized(quantized, part).outputs)
    sizes = batches(job.source, artifact)
    _, whole = runs.answers(artifact, source, job.evaluation, cpu=target.cpu, sizes=sizes)
    hold_against_program(artifact.file, whole, answers, host)
    return whole


def batches(source: Source, artifact: Artifact) -> tuple[int, ...]:
    """Return the batch sizes that an artifact is verified at."""
    return orders.tried(orders.batch_sizes(source_with_batch(source, artifact.batch)))


def fixed(artifacts: tuple[Artifact, ...]) -> tuple[str, ...]:
    """Say which artifacts take a fixed number of samples although the model takes any."""
    return tuple(
        f"{artifact.file} takes {artifact.batch} sample in each call: for any number its delegate would leave more "
        "operations outside, which copy and compute slowly."
        for artifact in artifacts
        if artifact.batch is not None
    )


def compatible(artifact: Artifact, target: Target) -> tuple[str, ...]:
    """Hold what an artifact needs against the runtimes that the app pins, and return what nobody knows.

    Raises:
        CompatibilityError: If a runtime lacks something that the artifact needs.
    """
    found = check.examine(
        artifact.file,
        artifact.format,
        operators=artifact.operators,
        delegates=artifact.delegates,
        pins=target.runtimes,
        not_delegated=artifact.not_delegated,
        data=artifact.data,
    )
    return check.require(found)

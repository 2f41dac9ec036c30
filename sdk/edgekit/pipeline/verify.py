"""Verify an artifact in its own runtime on this host, as the app that loads it would run it."""

from collections.abc import Callable

from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.execution import artifact as runs
from edgekit.execution import orders
from edgekit.execution.eager import run_quantized
from edgekit.execution.proof import hold_against_program, prove, quantization_db, try_out
from edgekit.model import graph
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
    costs = quantization_db(answers.outputs, host.outputs)
    prove(artifact, source, job.evaluation, target.cpu, lambda part: run_quantized(quantized, part).outputs, costs)
    sizes = batches(job.source, artifact)
    _, whole = runs.answers(artifact, source, job.evaluation, cpu=target.cpu, sizes=sizes, memory=job.memory)
    hold_against_program(artifact.file, whole, answers, host, source.outputs)
    return whole


def runs_at_all(quantized: Quantized, target: Target) -> Callable[[Artifact], None]:
    """Return what holds an artifact of a program against the app's runtime, loads it and runs it on an example.

    It raises `CompatibilityError` or `RunError` on failure.
    """
    captured = quantized.captured
    names = (spec.name for spec in captured.source.inputs)
    arrays = (tensor.numpy() for tensor in captured.example)
    samples = Samples(inputs=dict(zip(names, arrays, strict=True)))

    def try_it(artifact: Artifact) -> None:
        compatible(artifact, target, quantized)
        try_out(artifact, source_with_batch(captured.source, artifact.batch), samples, target.cpu)

    return try_it


def batches(source: Source, artifact: Artifact) -> tuple[int, ...]:
    """Return the batch sizes that an artifact is verified at."""
    return orders.tried(orders.batch_sizes(source_with_batch(source, artifact.batch)))


def compatible(artifact: Artifact, target: Target, quantized: Quantized) -> tuple[str, ...]:
    """Hold what an artifact needs against the runtimes that the app pins, and return what nobody knows.

    Args:
        artifact: The artifact.
        target: The target, for the versions that it pins.
        quantized: What the artifact was lowered from, for the lines that operations come from.

    Raises:
        CompatibilityError: If a runtime lacks something that the artifact needs.
    """
    found = check.examine(
        artifact.file,
        artifact.format,
        operators=artifact.operators,
        delegates=artifact.delegates,
        pins=target.runtimes,
        not_delegated=[_with_line(place, quantized) for place in artifact.not_delegated],
        data=artifact.data,
    )
    return check.require(found)


def _with_line(place: str, quantized: Quantized) -> str:
    """Return the place of an operation outside the delegate with its line, where the captured program knows it."""
    nodes = [node for node in quantized.program.graph.nodes if node.op == "call_function"]
    return next((graph.place(node, with_line=True) for node in nodes if graph.place(node) == place), place)

"""The CPU: its runtimes are those of the device, and run on this machine as they stand."""

from collections.abc import Callable

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.data.samples import Samples
from edgekit.execution import artifact as runs
from edgekit.execution import orders
from edgekit.execution.eager import run_quantized
from edgekit.execution.proof import hold_against_program, prove, quantization_db, try_out
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Quantized
from edgekit.spec import Format, Target
from edgekit.targets.runtimes import check


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the artifact of a program, tried out, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be lowered.
    """
    return lowering.lower(format, target, quantized, cache, runs_at_all(quantized, target))


def run(trial: Trial) -> Tried:
    """Run an artifact in its runtime on the samples, and prove it in all orders of batches.

    Raises:
        CompatibilityError: If the runtime that the app pins lacks something that the artifact needs.
        RunError: If it does not load or run, answers a sample in another way in another batch, or computes something
            else than its program.
    """
    artifact, cpu, answers, host = trial.artifact, trial.target.cpu, trial.answers, trial.host
    lacking = compatible(artifact, trial.target, trial.quantized)
    source = source_with_batch(trial.source, artifact.batch)
    costs = quantization_db(answers.outputs, host.outputs)
    prove(artifact, source, trial.samples, cpu, lambda part: run_quantized(trial.quantized, part).outputs, costs)
    sizes = orders.tried(orders.batch_sizes(source))
    _, whole = runs.answers(artifact, source, trial.samples, cpu=cpu, sizes=sizes, memory=trial.memory)
    hold_against_program(artifact.file, whole, answers, host, source.outputs)
    return Tried(answers=whole, batches=sizes, notes=lacking)


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


CHIP = Chip(title="CPU", name_of=lowering.name, lower=lower, run=run, formats=frozenset({Format.PTE, Format.ONNX}))

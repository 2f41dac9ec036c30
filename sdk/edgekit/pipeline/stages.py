"""The stages of a build as functions, each taking what the one before returned.

They give the bytes that ``edgekit.build`` gives; it does the same in one call, with progress, the cache and fallback.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram
from torchao.quantization.pt2e.quantizer import Quantizer

from edgekit import bundles, chips, targets
from edgekit.base.memory import Memory
from edgekit.bundles.result import Built
from edgekit.errors import ProjectError
from edgekit.execution.eager import run_quantized
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture as capture_source
from edgekit.model.program import Captured, Quantized
from edgekit.model.programs import source_of
from edgekit.model.source.given import Data, samples_given
from edgekit.pipeline.assemble import assemble
from edgekit.pipeline.attempt import Attempt, measured
from edgekit.pipeline.job import SAME_SAMPLES, Job, Metric, check_answers, of_functions
from edgekit.pipeline.legs import float_answers
from edgekit.quantization import quantize as quantize_captured
from edgekit.quantization import quantize_by
from edgekit.spec import (
    CPU_PLACING,
    Audio,
    Budget,
    Dimension,
    Meaning,
    Preprocessing,
    QuantSpec,
    Scheme,
    Target,
    arguments,
)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The artifacts of one target, run on the evaluation samples, with the drift of every leg."""

    job: Job
    target: Target
    attempt: Attempt

    @property
    def passed(self) -> bool:
        """Whether the drift is within its limits."""
        return self.attempt.report.within_budget


def capture(
    model: nn.Module | ExportedProgram | str | Path,
    example_inputs: Any = None,
    *,
    samples: Data | None = None,
    name: str | None = None,
    output_names: Sequence[str] = ("output",),
    labels: Sequence[str] = (),
    meanings: Mapping[str, Meaning] | None = None,
    preprocessing: Preprocessing | Mapping[str, object] | None = None,
    audio: Audio | Mapping[str, object] | None = None,
    max_batch: int | None = None,
    unbatched: bool = False,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    dimensions: Mapping[str, int | Dimension] | None = None,
    memory: int | str | None = None,
) -> Captured:
    """Export a float model as a program.

    Args:
        model: The float model, or a program, as `edgekit.build` takes it; copied, and left as it was.
        example_inputs: The arguments of ``forward``, batch first: a tensor, several in order, or by name. A program
            that says what it takes needs `samples` alone.
        samples: Real inputs to trace with, as `edgekit.build` takes its calibration data; the example unless given.
        name: The model's name; the class's name in lower case unless given.
        output_names: Names of what ``forward`` returns, in order.
        labels: Names of the classes. If given, the first output is taken for logits.
        meanings: What outputs mean, by name.
        preprocessing: How a picture becomes the input, for the apps.
        audio: How a sound becomes the only input, likewise.
        max_batch: Largest batch that artifacts take; 1 for an example of one row, else 64, unless given.
        unbatched: Whether ``forward``, and the example, take one sample without a batch.
        shapes: Shapes of inputs of which more than the batch varies.
        dimensions: What the names in them stand for.
        memory: Memory for samples and activations in this stage and those after it, as `edgekit.build` takes it.

    Raises:
        SourceError, DataError, ProjectError: If the model, the example or an argument is wrong.
        CaptureError: If ``torch.export`` refuses the model.
    """
    preprocessing = arguments.spec("preprocessing", preprocessing, Preprocessing, "an edgekit.spec.Preprocessing")
    audio = arguments.spec("audio", audio, Audio, "an edgekit.spec.Audio")
    source = source_of(
        name,
        model,
        example_inputs,
        output_names=output_names,
        labels=labels,
        meanings=meanings,
        preprocessing=preprocessing,
        audio=audio,
        shapes=shapes,
        max_batch=max_batch,
        unbatched=unbatched,
        dimensions=dimensions,
    )
    given = example_inputs if samples is None else samples
    allowed = Memory(given=None if memory is None else arguments.memory_of(memory))
    return capture_source(source, samples_given(given, source, what="samples", memory=allowed), allowed)


def quantize(
    captured: Captured,
    calibration: Data,
    *,
    scheme: str = "int8",
    quantization: QuantSpec | Mapping[str, object] | None = None,
    target: str | Path | None = None,
    quantizer: Quantizer | None = None,
) -> Quantized:
    """Quantize a captured program.

    Args:
        captured: From `capture`.
        calibration: The samples that ranges are chosen by, in the forms that `edgekit.build` takes.
        scheme: A scheme's name: ``int8``, ``int8-dynamic``, ``w8a16``, ``8da4w``, ``float``.
        quantization: How to quantize, beside the scheme.
        target: A target whose chip says what is rounded, a name or the path of a profile; a CPU's unless given.
        quantizer: One of your own, by torchao's protocol: it says where values are rounded and by which observers, and
            no step is taken beside it. Then `scheme` names what it rounds to, ``int8`` or ``w8a16``. See
            docs/plug-ins.md.

    Raises:
        ProjectError: If there is no such scheme, or a quantizer stands beside settings that it would not follow.
        TargetError: If there is no such target.
        DataError: If the data does not fit the model.
        QuantizeError: If nothing can be quantized.
    """
    if scheme not in set(Scheme):
        raise ProjectError(f"There is no scheme {scheme!r}.", hint=f"There are {', '.join(Scheme)}.")
    settings = arguments.spec("quantization", quantization, QuantSpec, "an edgekit.QuantSpec") or QuantSpec()
    samples = samples_given(calibration, captured.source, what="calibration data", memory=captured.memory)
    if quantizer is not None:
        if quantization is not None or target is not None or Scheme(scheme) not in (Scheme.INT8, Scheme.W8A16):
            raise ProjectError(
                "A quantizer of your own stands beside settings that it does not follow.",
                hint='Leave out quantization and target; scheme is "int8" or "w8a16".',
            )
        return quantize_by(captured, Scheme(scheme), quantizer, samples)
    placing = CPU_PLACING if target is None else chips.of_target(targets.load(target)).placing
    return quantize_captured(captured, Scheme(scheme), settings, samples, placing)


def lower(quantized: Quantized, *, target: str | Path, format: str) -> Artifact:
    """Lower a quantized program to a file in memory.

    Args:
        quantized: From `quantize`.
        target: A target's name, or the path of a profile of your own.
        format: ``"pte"`` or ``"onnx"``.

    Raises:
        TargetError, ProjectError: If there is no such target or format.
        LowerError: If the program cannot be lowered.
    """
    (wanted,) = arguments.formats_of([format])
    profile = targets.load(target)
    artifact, _ = chips.of_target(profile).lower(wanted, profile, quantized, None)
    return artifact


def verify(
    quantized: Quantized | Mapping[str, Quantized],
    artifacts: Artifact | Sequence[Artifact],
    *,
    target: str | Path,
    evaluation: Data,
    budget: Budget | Mapping[str, object] | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> Verified:
    """Run artifacts in their own runtimes, and measure every leg against the float model on this host.

    Args:
        quantized: What the artifacts were lowered from; by format where they differ.
        artifacts: From `lower`.
        target: What they were lowered for.
        evaluation: The samples that drift is measured on.
        budget: Limits put over the target's.
        metrics: Metrics of your own, by output.

    Raises:
        DataError: If the data does not fit the model, or cannot tell what the budget limits.
        CompatibilityError, RunError: If no artifact is left: the app's runtime lacks something that one needs, or it
            does not load or run, or gives other answers at another batch size.
    """
    limits = arguments.spec("budget", budget, Budget, "an edgekit.Budget") or Budget()
    made = (artifacts,) if isinstance(artifacts, Artifact) else tuple(artifacts)
    if not made:
        raise ProjectError("There are no artifacts to verify.", hint="edgekit.lower makes them.")
    each = {one.format: quantized if isinstance(quantized, Quantized) else quantized[one.format] for one in made}
    first = next(iter(each.values()))
    source = first.captured.source
    samples = samples_given(
        evaluation, source, what="evaluation data", outputs=source.outputs, memory=first.captured.memory
    )
    check_answers(limits, source.outputs, samples)
    same = samples.digest == first.calibration_sha256
    job = Job(
        source=source,
        calibration=samples,  # nothing is calibrated any more
        evaluation=samples,
        baseline=None,
        quantization=QuantSpec(),
        budget=limits,
        preprocessing=source.preprocessing,
        labels=source.labels,
        notes=(SAME_SAMPLES,) if same else (),
        own_metrics=of_functions(metrics or {}, source.outputs),
        memory=first.captured.memory,
    )
    answers = {id(program): run_quantized(program, samples) for program in each.values()}
    pairs = {format: (program, answers[id(program)]) for format, program in each.items()}
    profile = targets.load(target)
    return Verified(
        job=job, target=profile, attempt=measured(job, profile, float_answers(job, first.captured), pairs, made)
    )


def bundle(verified: Verified, *, output: str | Path) -> Built:
    """Write the bundle of verified artifacts to ``output / name / target``, in one step.

    Args:
        verified: From `verify`.
        output: Folder of the bundles.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    folder = Path(output) / verified.job.source.name / verified.target.name
    bundles.check_place(folder)
    return assemble(verified.job, verified.target, verified.attempt, None, folder)

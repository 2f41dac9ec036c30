"""One attempt at a target: quantize, lower and verify. What targets and attempts share is made once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from edgekit import chips
from edgekit.base.cache import Cache
from edgekit.base.progress import Stages
from edgekit.bundles.manifest import Refusal
from edgekit.chips import SECONDS, Trial, Tried
from edgekit.data.trace import Trace
from edgekit.drift.report import DriftReport
from edgekit.errors import CompatibilityError, EdgeKitError, LowerError, RunError
from edgekit.execution import orders
from edgekit.execution.eager import run_quantized
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Quantized
from edgekit.pipeline.job import Job
from edgekit.pipeline.keep import Keep
from edgekit.pipeline.legs import Ground, References, drift_report
from edgekit.pipeline.likeness import unlike
from edgekit.quantization import quantize
from edgekit.spec import Format, Placing, Scheme, Target
from edgekit.spec.schemes import calibrated, of_target

_FloatLayers = tuple[str, ...]
_Run = Callable[[Trial], Tried]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A model quantized, lowered and verified for one target."""

    programs: Mapping[Format, Quantized]
    """The quantized program that each format was lowered from."""
    references: References
    artifacts: tuple[Artifact, ...]
    traces: dict[str, Trace]
    """The artifacts' answers, by file name."""
    tried: Mapping[str, Tried]
    """What else was seen of them where they were run, by file name."""
    report: DriftReport
    refused: tuple[Refusal, ...] = ()
    """The formats that could not be built."""


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Makes attempts for a job. A program is quantized once for a scheme, and lowered once for equal settings."""

    job: Job
    ground: Ground
    stages: Stages
    cache: Cache | None
    keep: Keep
    seconds: float = SECONDS
    """How long a simulation of a chip may run samples."""
    _quantized: dict[tuple[Scheme, Placing, _FloatLayers], tuple[Quantized, Trace]] = field(default_factory=dict)
    _lowered: dict[tuple[str, Placing, _FloatLayers], Artifact] = field(default_factory=dict)

    def at(self, target: Target, float_layers: _FloatLayers, number: int = 1) -> Attempt:
        """Quantize, lower and verify for a target.

        Args:
            target: The target.
            float_layers: Paths of the layers that stay float.
            number: Which attempt at the target it is, for the names of the stages.

        Raises:
            EdgeKitError: A subclass for the stage that failed; of lowering and verifying, only where no format is left.
        """
        again = f", attempt {number}" if number > 1 else ""
        schemes = of_target(target, self.job.quantization)
        placing = chips.of_target(target).placing
        found = {format: self._program(scheme, placing, float_layers, again) for format, scheme in schemes.items()}
        artifacts, errors = [], dict(self.ground.refused)
        for format, (program, _) in found.items():
            if format not in errors:
                try:
                    artifacts.append(self._artifact(format, target, program, float_layers, again))
                except (CompatibilityError, LowerError) as error:
                    errors[format] = error
        with self.stages(f"verify {target.name}{again}") as detail:
            made = measured(self.job, target, self.ground, found, tuple(artifacts), self._verify, errors)
            sizes = {size for tried in made.tried.values() for size in tried.batches}
            detail.append(f"batches {', '.join(map(str, sorted(sizes)))}")
        return made

    def _program(
        self, scheme: Scheme, placing: Placing, float_layers: _FloatLayers, again: str
    ) -> tuple[Quantized, Trace]:
        """Quantize the captured program and run it on the evaluation samples."""
        key = scheme, placing, float_layers
        if key not in self._quantized:
            job, captured = self.job, self.ground.captured
            spec = job.quantization.model_copy(update={"float_layers": float_layers})
            where = " everywhere" if placing.everywhere else ""
            name = f"{scheme}{where.replace(' ', '-')}{again.replace(', attempt ', '-')}"
            with self.stages(f"quantize {scheme}{where}{again}") as detail:
                if job.trained is not None:
                    program = job.trained.for_build(captured, scheme, placing, float_layers)
                    detail.append("as it was trained")
                else:
                    with self.keep.quantizing(name, captured, scheme, spec, job.calibration, placing):
                        program = quantize(captured, scheme, spec, job.calibration, placing)
                    detail.append(calibrated(scheme, len(job.calibration)))
                detail += program.notes
            with self.stages(f"run {program.scheme} program{where}{again}") as detail:
                answers = run_quantized(program, job.evaluation)
                detail.append(f"{len(job.evaluation)} samples")
            self.keep.quantized(name, program, answers)
            self._quantized[key] = program, answers
        return self._quantized[key]

    def _artifact(
        self, format: Format, target: Target, program: Quantized, float_layers: _FloatLayers, again: str
    ) -> Artifact:
        """Lower a quantized program, or take what was lowered from it for another target."""
        chip = chips.of_target(target)
        name = chip.name_of(format, target, program.scheme)
        key = name, chip.placing, float_layers
        if key not in self._lowered:
            with self.stages(f"lower {name}{again}") as detail:
                with self.keep.lowering(format, target, program):
                    artifact, detail.cached = chip.lower(format, target, program, self.cache)
                detail.append(f"{len(artifact.data) / 1000:.1f} kB")
            self._lowered[key] = artifact
        return self._lowered[key]

    def _verify(self, trial: Trial) -> Tried:
        artifact, target = trial.artifact, trial.target
        sizes = orders.tried(orders.batch_sizes(source_with_batch(trial.source, artifact.batch)))
        with self.keep.verifying(artifact, target, trial.samples, sizes):
            tried = _on_chip(replace(trial, seconds=self.seconds))
        self.keep.trace(f"{target.name}-{artifact.file}", tried.answers)
        return tried


def _on_chip(trial: Trial) -> Tried:
    return chips.of_target(trial.target).run(trial)


def measured(
    job: Job,
    target: Target,
    ground: Ground,
    programs: Mapping[Format, tuple[Quantized, Trace]],
    artifacts: tuple[Artifact, ...],
    run: _Run = _on_chip,
    errors: Mapping[Format, EdgeKitError] | None = None,
) -> Attempt:
    """Hold artifacts against what the app's runtimes carry, run them, and measure every leg.

    Args:
        job: The job, for its evaluation samples, outputs and budget.
        target: The target.
        ground: The float answers.
        programs: For each format the program that was lowered, and its answers.
        artifacts: One for each format.
        run: Runs an artifact on the evaluation samples.
        errors: Why formats could not be lowered.

    Raises:
        CompatibilityError, LowerError, RunError: If no format is left: one could not be lowered, or a runtime lacks
            what its artifact needs, or that does not load or run, or gives other answers at another batch size.
    """
    tried: dict[str, Tried] = {}
    errors = dict(errors or {})
    for one in artifacts:
        program, answers = programs[one.format]
        trial = Trial(
            artifact=one,
            target=target,
            source=job.source,
            samples=job.evaluation,
            quantized=program,
            answers=answers,
            host=ground.host,
            memory=job.memory,
        )
        try:
            tried[one.file] = run(trial)
        except (CompatibilityError, RunError) as error:
            errors[one.format] = error
    if not tried:
        raise next(iter(errors.values()))
    made = {format: pair for format, pair in programs.items() if format not in errors}
    notes = (*(one.notes for one in tried.values()), *(one.notes for one in artifacts))
    more = tuple(note for each in notes for note in each)
    if all(program.calibration_sha256 != job.evaluation.digest for program, _ in made.values()):
        each = {id(program): (program, answers) for program, answers in made.values()}  # formats share programs
        said = (unlike(program, ground.host, answers) for program, answers in each.values())
        more = (*more, *dict.fromkeys(note for notes in said for note in notes))
    references = ground.references({f"model.{format}": pair for format, pair in made.items()}, more=more)
    traces = {file: one.answers for file, one in tried.items()}
    return Attempt(
        programs={format: program for format, (program, _) in made.items()},
        references=references,
        artifacts=tuple(one for one in artifacts if one.file in traces),
        traces=traces,
        tried=tried,
        report=drift_report(job, target, references, traces),
        refused=tuple(Refusal(format=format, reason=str(one), hint=one.hint) for format, one in errors.items()),
    )

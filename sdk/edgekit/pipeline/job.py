"""A job: everything that a build needs, loaded. Made from a project file or from the arguments of the Python API."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.base.memory import Memory
from edgekit.data import trace, truth
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.data.texts import TextSteps, checked_steps
from edgekit.data.trace import Trace
from edgekit.drift import custom, detection
from edgekit.drift.custom import OwnMetric
from edgekit.errors import DataError, ProjectError
from edgekit.model import programs
from edgekit.model.program import Source
from edgekit.model.ready import Ready
from edgekit.model.source.example import check_names
from edgekit.model.source.model_file import load_model
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.model.weights.stated import completed
from edgekit.pipeline import datasets
from edgekit.pipeline.trained import Trained
from edgekit.pipeline.trained import load as load_trained
from edgekit.spec import Budget, Preprocessing, QuantSpec, TensorSpec, limits, schema
from edgekit.spec.project import OpenProject

Metric = Callable[[Array, Array, Array | None], float | Mapping[str, float]]
"""A metric of the caller's own: takes reference, candidate, and true values or None, of shape (samples, ...)."""
SAME_SAMPLES = "Drift was measured on the calibration samples: give evaluation= samples that calibration never saw."


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model with its data and demands."""

    source: Source
    calibration: Samples
    evaluation: Samples
    baseline: Trace | None
    """The recorded reference; None: the float model on this host takes its place, and the report says so."""
    quantization: QuantSpec
    budget: Budget
    """Limits put over the target's."""
    preprocessing: Preprocessing | None = None
    text: TextSteps | None = None
    """How a text becomes the inputs; the bundle then carries the tokenizer."""
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the report must know about the data."""
    own_metrics: Mapping[str, OwnMetric] = field(default_factory=dict)
    """Metrics of the project's own, by output."""
    memory: Memory = field(default_factory=Memory)
    """What the build may take."""
    trained: Trained | None = None
    """A program that was trained: it takes the place of what the quantizer would make."""


def of_project(project: OpenProject, ready: Ready | None = None) -> Job:
    """Load what a project file names.

    Args:
        project: The project.
        ready: What of its model was read or made before.

    Raises:
        SourceError, DataError, BundleError: If the model, the data or the baseline cannot be loaded.
        ProjectError, ToolchainError: If what the budget limits cannot be measured.
    """
    ready = ready or Ready()
    project, program = programs.complete(project, ready.program)
    if program is None:
        checkpoint = ready.checkpoint or read_checkpoint(project.weights, project.spec.model.weights_key)
        ready = replace(ready, checkpoint=checkpoint)
        project = completed(project, checkpoint)
    spec = project.spec
    own = check_gate(project)

    memory = Memory(given=spec.build.memory)
    texts = None if spec.text is None else checked_steps(spec.text, spec.taken, project.root)
    data = datasets.of_project(project, memory)
    check_answers(spec.budget, spec.tensors, data.evaluation)
    source, trained = load_model(project, program, ready), spec.quantize.trained
    return Job(
        source=source,
        calibration=data.calibration,
        evaluation=data.evaluation,
        baseline=trace.load(project.baseline, memory) if project.baseline.is_file() else None,
        quantization=spec.quantize,
        budget=spec.budget,
        preprocessing=spec.preprocessing,
        text=texts,
        labels=spec.labels,
        notes=(*project.notes, *data.notes),
        own_metrics=own,
        memory=memory,
        trained=None if trained is None else load_trained(project.root / trained, source),
    )


def check_answers(budget: Budget, outputs: tuple[TensorSpec, ...], evaluation: Samples) -> None:
    """Make sure that the evaluation data can tell what a budget limits, before the work that leads up to it.

    Raises:
        DataError: If there are fewer than two samples; or with the limits that no output, or no true value, can answer.
    """
    if len(evaluation) < 2:
        raise DataError(
            f"The evaluation data has {len(evaluation)} sample; how sure a number is cannot be said of fewer than two.",
            hint="Evaluate on as many samples as there are; hundreds are usual.",
        )
    if faults := limits.unanswered(budget, outputs, truth.known(evaluation, outputs)):
        raise DataError(
            "The budget limits what the evaluation data cannot tell:\n" + "\n".join(f"  - {line}" for line in faults),
            hint="Add true values as docs/data.md says, or limit the agreement with the reference instead.",
        )


def check_gate(project: OpenProject) -> Mapping[str, OwnMetric]:
    """Make sure that what a project wants measured can be, before the work that leads up to it.

    Returns:
        The metrics of the project's own, by output.

    Raises:
        ProjectError: If a limit is for no output, or a metric of the project's own cannot be imported.
        ToolchainError: If the library for boxes is missing.
    """
    spec = project.spec
    if faults := limits.unanswered(spec.budget, spec.tensors, None):
        raise ProjectError(schema.report("The budget", faults), hint="Say what the outputs mean in [[outputs]].")
    budgets = (spec.budget, *spec.budget.outputs.values())
    asked = {name for budget in budgets for leg in budget.legs.values() for name in leg.custom}
    if asked and not any(output.metric for output in spec.outputs):
        raise ProjectError(
            f"The budget limits {', '.join(sorted(asked))}, and no output has a metric.",
            hint='Name it in [[outputs]]: metric = "my.py:function".',
        )
    if any(output.meaning == "boxes" for output in spec.outputs):
        detection.require()
    return custom.load(project)


def of_functions(metrics: Mapping[str, Metric], outputs: tuple[TensorSpec, ...]) -> dict[str, OwnMetric]:
    """Return metrics that are functions in memory, by output.

    Raises:
        ProjectError, DataError: If one has no name, or is for no output.
    """
    check_names("metrics", metrics, outputs)
    found = {}
    for output, function in metrics.items():
        name = getattr(function, "__name__", "")
        try:
            file = Path(inspect.getfile(function))
        except TypeError:
            file = None
        if file is None or not name.isidentifier():
            raise ProjectError(
                f"The metric of {output} is {function!r}, which is no function with a name for its number.",
                hint="Define one: def psnr(reference, candidate, targets): ...",
            )
        found[output] = OwnMetric(name=name, file=file, function=function)
    return found

"""A job: everything that a build needs, loaded. Made from a project file or from the arguments of the Python API."""

from dataclasses import dataclass
from pathlib import Path

from edgekit import trace
from edgekit.data import load_samples
from edgekit.program import Source
from edgekit.project import OpenProject
from edgekit.samples import Samples
from edgekit.source.model_file import load_model
from edgekit.spec import Budget, Preprocessing, QuantSpec
from edgekit.trace import Trace


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
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the report must know about the data."""


def of_project(project: OpenProject) -> Job:
    """Load what a project file names.

    Raises:
        SourceError, DataError, BundleError: If the model, the data or the baseline cannot be loaded.
    """
    spec = project.spec

    def samples(path: Path) -> Samples:
        return load_samples(path, spec.inputs, spec.preprocessing, spec.labels)

    return Job(
        source=load_model(project),
        calibration=samples(project.calibration),
        evaluation=samples(project.evaluation),
        baseline=trace.load(project.baseline) if project.baseline.is_file() else None,
        quantization=spec.quantize,
        budget=spec.budget,
        preprocessing=spec.preprocessing,
        labels=spec.labels,
    )

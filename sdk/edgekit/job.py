"""A job: everything that a build needs, loaded. Made from a project file or from the arguments of the Python API."""

from dataclasses import dataclass

from edgekit.program import Source
from edgekit.samples import Samples
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

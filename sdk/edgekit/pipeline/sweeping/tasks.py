"""What is given to a worker, and what it answers. Values that go between processes and machines."""

from typing import Annotated

from pydantic import Field

from edgekit.base.values import Positive, Sha256, Spec
from edgekit.bundles.cells import CellName, Failure, Result
from edgekit.spec import QuantSpec, Target

AS_SET = "project"
"""What a scheme, or a table of settings, is called that the project itself says."""


class Task(Spec):
    """All that a worker must know to do a cell; the files of the project it reads itself."""

    key: Sha256
    """The digest of all that the result depends on but for the processor: where the result is stored."""
    name: CellName
    """What to call it."""
    project: str
    """The project's folder."""
    target: Target
    """The target, with the formats to write."""
    quantize: QuantSpec
    """How to quantize."""
    store: str
    """Where the result goes."""
    tools: Sha256
    """The digest of EdgeKit and the installed libraries: another machine must have the same."""
    cpus: Positive
    """Threads to compute with."""
    gpus: Annotated[int, Field(ge=0)]
    """GPUs to reserve."""
    memory: Positive
    """Bytes to reserve."""
    label: str | None = None
    """What the machine must have."""
    seconds: Positive
    """How long an attempt may take."""


class Outcome(Spec):
    """What a worker answers: a result, which is in the store already, or a failure."""

    result: Result | None = None
    failure: Failure | None = None
    found: bool = False
    """Whether the result was in the store before."""

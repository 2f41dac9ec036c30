"""Verify an artifact in its own runtime on this host, as the app that loads it would run it."""

from edgekit.data.trace import Trace
from edgekit.execution import artifact as runs
from edgekit.model.artifact import Artifact
from edgekit.model.program import Source
from edgekit.pipeline.job import Job
from edgekit.spec import Target
from edgekit.targets.runtimes import check

_BATCHES = (1, 16, 64)


def verify(artifact: Artifact, target: Target, job: Job) -> Trace:
    """Run an artifact on the evaluation samples, at every batch size of `batches`, and return its answers.

    Raises:
        RunError: If it does not load or run, or gives other answers at another batch size.
    """
    sizes = batches(job.source)
    opened, whole = runs.answers(artifact, job.source, job.evaluation, cpu=target.cpu, sizes=sizes)
    runs.verify_batches(opened, whole, sizes)
    return whole


def batches(source: Source) -> tuple[int, ...]:
    """Return the batch sizes to verify: those of the usual three that the model's dimensions allow."""
    return tuple(size for size in _BATCHES if size <= source.most) if source.batch is None else (source.batch,)


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

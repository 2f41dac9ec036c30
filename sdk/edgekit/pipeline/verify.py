"""The batch sizes at which artifacts are verified; what runs them is the business of their chips."""

from edgekit.execution import orders
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Source


def batches(source: Source, artifact: Artifact) -> tuple[int, ...]:
    """Return the batch sizes that an artifact is verified at."""
    return orders.tried(orders.batch_sizes(source_with_batch(source, artifact.batch)))

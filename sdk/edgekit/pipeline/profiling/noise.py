"""The server's own noise: what the same float model gives in other precisions, against the baseline."""

from edgekit.bundles.profile import Noise
from edgekit.data.trace import Trace
from edgekit.drift.metrics import measure
from edgekit.spec import TensorSpec


def profile(baseline: Trace, outputs: tuple[TensorSpec, ...]) -> tuple[Noise, ...]:
    """Hold the other precisions that a baseline was recorded in against its own outputs.

    Args:
        baseline: The baseline, with the recordings beside it.
        outputs: What the model gives.
    """
    found = []
    for other in baseline.beside:
        for spec in outputs:
            theirs, ours = baseline.outputs[spec.name], other.outputs[spec.name]
            metrics = measure(theirs, ours, logits=spec.meaning == "logits", labels=None)
            found.append(
                Noise(
                    precision=other.origin.precision,
                    place=other.origin.place,
                    output=spec.name,
                    sqnr_db=metrics.sqnr_db,
                    top1_agreement=metrics.top1_agreement,
                )
            )
    return tuple(found)

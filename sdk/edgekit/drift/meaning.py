"""What is measured of an output: one pass over the samples, some at a time, by what the output means."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.data import truth
from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.drift import shards
from edgekit.drift.dense import embedding_statistics
from edgekit.drift.detection import Detections, detection_statistics
from edgekit.drift.metrics import Extremes, Metrics, collect
from edgekit.drift.shards import Run, Shard
from edgekit.drift.statistics import Doubles, Statistic, points
from edgekit.spec import TensorSpec

Outputs = Mapping[str, Rows]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was seen of one output over all samples."""

    statistics: Mapping[str, Statistic]
    """The metrics of every tensor, then those for what the output means; a detector's stand at its boxes."""
    extremes: Extremes
    varying: Doubles | None
    """See `edgekit.drift.varying`; None where it does not apply."""


def measured(
    spec: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    reference: Outputs,
    candidate: Outputs,
    samples: Samples,
    *,
    detections: bool = True,
    places: Sequence[slice] = (),
    run: Run = map,
) -> Measured:
    """Measure an output.

    Args:
        spec: The output.
        outputs: All of them.
        reference: What should have been computed.
        candidate: What was computed.
        samples: What both were fed with, for the true values.
        detections: Whether those of detections are wanted, which take long.
        places: Shards to measure by themselves: consecutive samples, in order, and together all of them. Neighbours of
            embeddings and boxes, for which all samples are held against each other, are measured at once.
        run: Where shards are measured, as `map` does here.
    """
    theirs, ours = reference[spec.name], candidate[spec.name]
    true = truth.of(spec, samples, outputs)
    pieces = shards.cut(Shard(reference=theirs, candidate=ours, true=true), places)
    known = shards.known(spec, pieces)
    whole = shards.merged(list(run(functools.partial(shards.part_of, spec=spec, known=known), pieces)))
    found = shards.statistics_of(spec, pieces[0], known, whole)
    if spec.meaning == "embedding":
        found |= embedding_statistics(theirs, ours)
    elif spec.meaning == "boxes" and detections:
        names: dict[str, str] = {other.meaning: other.name for other in outputs}
        found |= detection_statistics(
            _detections(names, reference),
            _detections(names, candidate),
            None if true is None else _true_boxes(names, samples),
        )
    return Measured(statistics=found, extremes=whole.extremes, varying=whole.energies)


def quick_metrics(
    outputs: tuple[TensorSpec, ...], reference: Outputs, candidate: Outputs, samples: Samples
) -> dict[str, Metrics]:
    """Return the metrics of each output without intervals; not those of detections, which take long."""
    found = {}
    for spec in outputs:
        seen = measured(spec, outputs, reference, candidate, samples, detections=False)
        found[spec.name] = collect(seen.extremes, points(seen.statistics, len(samples)))
    return found


def _detections(names: Mapping[str, str], outputs: Outputs) -> Detections:
    return Detections(boxes=outputs[names["boxes"]], scores=outputs[names["scores"]], classes=outputs[names["classes"]])


def _true_boxes(names: Mapping[str, str], samples: Samples) -> Detections:
    classes = samples.targets[names["classes"]]
    return Detections(boxes=samples.targets[names["boxes"]], scores=np.ones(classes.shape), classes=classes)

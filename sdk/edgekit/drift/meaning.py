"""What is measured of an output: one pass over the samples, some at a time, by what the output means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from edgekit.data import truth
from edgekit.data.rows import Array, Rows, chunks
from edgekit.data.samples import Samples
from edgekit.drift import varying
from edgekit.drift.dense import embedding_statistics, regression_statistics, segmentation_statistics
from edgekit.drift.detection import Detections, detection_statistics
from edgekit.drift.metrics import Extremes, Metrics, answered, classifier_statistics, collect, element_statistics
from edgekit.drift.pairs import Pair, mean_of_rows, pairs
from edgekit.drift.statistics import Doubles, Statistic, joined, points
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
) -> Measured:
    """Measure an output.

    Args:
        spec: The output.
        outputs: All of them.
        reference: What should have been computed.
        candidate: What was computed.
        samples: What both were fed with, for the true values.
        detections: Whether those of detections are wanted, which take long.
    """
    theirs, ours = reference[spec.name], candidate[spec.name]
    true = truth.of(spec, samples, outputs)
    follows = varying.applies(spec, theirs)
    means = varying.means(theirs, ours) if follows or spec.meaning == "regression" else None
    true_mean = None
    if spec.meaning == "regression" and true is not None:
        true_mean = mean_of_rows(part.astype(np.float64) for _, part in chunks(true))
    parts, energies, extremes = [], [], Extremes(max_abs_error=0.0, non_finite=0)
    for pair in pairs(theirs, ours):
        known = None if true is None else true[pair.rows]
        parts.append({**element_statistics(pair, spec.meaning), **_by_meaning(spec, pair, known, means, true_mean)})
        extremes |= Extremes.of(pair)
        if means is not None and follows:
            energies.append(varying.varying(pair, means))
    found = joined(parts)
    if spec.meaning == "embedding":
        found |= embedding_statistics(theirs, ours)
    elif spec.meaning == "boxes" and detections:
        names: dict[str, str] = {other.meaning: other.name for other in outputs}
        found |= detection_statistics(
            _detections(names, reference),
            _detections(names, candidate),
            None if true is None else _true_boxes(names, samples),
        )
    return Measured(statistics=found, extremes=extremes, varying=np.concatenate(energies) if energies else None)


def _by_meaning(
    spec: TensorSpec, pair: Pair, known: Array | None, means: varying.Means | None, true_mean: Doubles | None
) -> dict[str, Statistic]:
    """Return the metrics that an output has beside those of every tensor, of some samples."""
    a, b = pair.reference, pair.candidate
    match spec.meaning:
        case "logits":
            return classifier_statistics(a, b, answered(pair.finite), known)
        case "segmentation":
            return segmentation_statistics(a, b, pair.finite, known)
        case "regression":
            assert means is not None
            values = None if known is None else known.astype(np.float64)
            return regression_statistics(a, b, values, means.reference, true_mean)
        case "embedding" | "boxes" | "tensor" | "image" | "scores" | "classes":
            return {}
        case _:
            assert_never(spec.meaning)


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

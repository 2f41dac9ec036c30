"""The metrics that an output has for what it means."""

from collections.abc import Mapping
from typing import assert_never

import numpy as np

from edgekit.data import truth
from edgekit.data.samples import Samples
from edgekit.drift.dense import embedding_statistics, regression_statistics, segmentation_statistics
from edgekit.drift.detection import Detections, detection_statistics
from edgekit.drift.metrics import Metrics, answered, classifier_statistics, collect, comparable, element_statistics
from edgekit.drift.statistics import Array, Statistic, points
from edgekit.spec import TensorSpec

Outputs = Mapping[str, Array]


def by_meaning(
    spec: TensorSpec, outputs: tuple[TensorSpec, ...], reference: Outputs, candidate: Outputs, samples: Samples
) -> dict[str, Statistic]:
    """Return the metrics that an output has beside those of every tensor; a detector's stand at its boxes.

    Args:
        spec: The output.
        outputs: All of them.
        reference: What should have been computed.
        candidate: What was computed.
        samples: What both were fed with, for the true values.
    """
    a, b, finite = comparable(reference[spec.name], candidate[spec.name])
    true = truth.of(spec, samples, outputs)
    match spec.meaning:
        case "logits":
            return classifier_statistics(a, b, answered(finite), true)
        case "segmentation":
            return segmentation_statistics(a, b, finite, true)
        case "embedding":
            return embedding_statistics(a, b, finite)
        case "regression":
            return regression_statistics(a, b, None if true is None else true.astype(np.float64))
        case "boxes":
            names: dict[str, str] = {other.meaning: other.name for other in outputs}
            return detection_statistics(
                _detections(names, reference),
                _detections(names, candidate),
                None if true is None else _true_boxes(names, samples),
            )
        case "tensor" | "image" | "scores" | "classes":
            return {}
        case _:
            assert_never(spec.meaning)


def quick_metrics(
    outputs: tuple[TensorSpec, ...], reference: Outputs, candidate: Outputs, samples: Samples
) -> dict[str, Metrics]:
    """Return the metrics of each output without intervals; not those of detections, which take long."""
    found = {}
    for spec in outputs:
        a, b, finite = comparable(reference[spec.name], candidate[spec.name])
        own = {} if spec.meaning == "boxes" else by_meaning(spec, outputs, reference, candidate, samples)
        found[spec.name] = collect(
            a, b, finite, points({**element_statistics(reference[spec.name], a, b), **own}, len(a))
        )
    return found


def _detections(names: Mapping[str, str], outputs: Outputs) -> Detections:
    return Detections(boxes=outputs[names["boxes"]], scores=outputs[names["scores"]], classes=outputs[names["classes"]])


def _true_boxes(names: Mapping[str, str], samples: Samples) -> Detections:
    classes = samples.targets[names["classes"]]
    return Detections(boxes=samples.targets[names["boxes"]], scores=np.ones(classes.shape), classes=classes)

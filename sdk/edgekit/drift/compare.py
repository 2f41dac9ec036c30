"""Hold two traces against each other and against a budget."""

import operator

from edgekit.drift.metrics import Metrics, measure
from edgekit.drift.report import Breach, Leg, LegName
from edgekit.errors import DataError
from edgekit.spec import Limits, TensorSpec
from edgekit.trace import Trace


def compare(
    name: LegName,
    reference: Trace,
    candidate: Trace,
    outputs: tuple[TensorSpec, ...],
    limits: Limits,
    *,
    artifact: str | None = None,
) -> tuple[Leg, ...]:
    """Measure one leg: one row per output.

    Args:
        name: The leg.
        reference: What should have been computed.
        candidate: What was computed, for the same samples.
        outputs: The outputs to compare; logits get the classifier metrics.
        limits: The budget of this leg.
        artifact: The artifact's file, for a leg that ends in one.

    Raises:
        DataError: If the traces are of other samples or hold other outputs.
    """
    if reference.samples.digest != candidate.samples.digest:
        raise DataError(
            f"The {name} leg would compare answers to different samples.",
            hint="The evaluation data has changed since the baseline: edgekit baseline record",
        )
    legs = []
    for spec in outputs:
        for side in (reference, candidate):
            if spec.name not in side.outputs:
                raise DataError(
                    f"The {name} leg needs the output {spec.name}; {side.origin.place} has {', '.join(side.outputs)}.",
                    hint="Record the baseline again: edgekit baseline record",
                )
        ours, theirs = candidate.outputs[spec.name], reference.outputs[spec.name]
        if ours.shape != theirs.shape:
            raise DataError(f"{spec.name} has shape {ours.shape} against {theirs.shape} in the {name} leg.")
        metrics = measure(theirs, ours, logits=spec.meaning == "logits", labels=reference.samples.labels)
        legs.append(
            Leg(
                name=name,
                artifact=artifact,
                output=spec.name,
                reference=describe(reference),
                candidate=describe(candidate),
                metrics=metrics,
                breaches=breaches(metrics, limits),
            )
        )
    return tuple(legs)


def describe(trace: Trace) -> str:
    """Say in one line where a trace was computed."""
    return f"{trace.origin.program}: {trace.origin.kernels} on {trace.origin.place}"


def breaches(metrics: Metrics, limits: Limits) -> tuple[Breach, ...]:
    """Return the limits that the metrics do not keep.

    A limit on a metric that does not apply (top-1 of an output that is no logits) is not checked; identical outputs
    keep every limit on the ratio of signal to noise; a value that is not finite always breaks the budget.
    """
    found = []
    if metrics.non_finite:
        found.append(Breach(metric="non_finite", limit=0, value=metrics.non_finite))
    minima = ("sqnr_db", "cosine", "top1_agreement", "top5_agreement")
    maxima = ("max_abs_error", "mean_abs_error", "kl_divergence")
    limit_names = {"max_abs_error": "max_abs_error", "mean_abs_error": "max_mean_abs_error"}
    checks = [(metric, f"min_{metric}", operator.lt) for metric in minima]
    checks += [(metric, limit_names.get(metric, f"max_{metric}"), operator.gt) for metric in maxima]
    for metric, limit_name, breaks in checks:
        limit, value = getattr(limits, limit_name), getattr(metrics, metric)
        if limit is not None and value is not None and breaks(value, limit):
            found.append(Breach(metric=metric, limit=limit, value=value))
    if metrics.accuracy is not None and metrics.reference_accuracy is not None:
        drop = metrics.reference_accuracy - metrics.accuracy
        if limits.max_accuracy_drop is not None and drop > limits.max_accuracy_drop + 1e-12:
            found.append(Breach(metric="accuracy_drop", limit=limits.max_accuracy_drop, value=drop))
        if limits.min_accuracy_ratio is not None:
            ratio = metrics.accuracy / metrics.reference_accuracy if metrics.reference_accuracy else 1.0
            if ratio < limits.min_accuracy_ratio:
                found.append(Breach(metric="accuracy_ratio", limit=limits.min_accuracy_ratio, value=ratio))
    return tuple(found)

"""Hold two traces against each other and against a budget."""

from collections.abc import Mapping, Sequence

from edgekit.data import truth
from edgekit.data.trace import Trace
from edgekit.drift import custom, gate, varying
from edgekit.drift.custom import OwnMetrics
from edgekit.drift.meaning import measured
from edgekit.drift.metrics import collect
from edgekit.drift.report import Leg, LegName
from edgekit.drift.shards import Run
from edgekit.drift.statistics import Derived, OfCounts, Statistic, intervals, points
from edgekit.errors import DataError
from edgekit.spec import Bootstrap, Budget, Limits, TensorSpec
from edgekit.spec.limits import given


def compare(
    name: LegName,
    reference: Trace,
    candidate: Trace,
    outputs: tuple[TensorSpec, ...],
    limits: Limits,
    *,
    artifact: str | None = None,
    bootstrap: Bootstrap | None = None,
    own: OwnMetrics | None = None,
    by_output: Mapping[str, Limits] | None = None,
    places: Sequence[slice] = (),
    run: Run = map,
) -> tuple[Leg, ...]:
    """Measure one leg: one row per output.

    Args:
        name: The leg.
        reference: What should have been computed.
        candidate: What was computed, for the same samples.
        outputs: The outputs to compare; what they mean says which metrics they get.
        limits: The budget of this leg.
        artifact: The artifact's file, for a leg that ends in one.
        bootstrap: How confidence intervals are made.
        own: The project's own metrics, by output.
        by_output: The budget of outputs that have one of their own, in place of ``limits``.
        places: Shards to measure by themselves, which changes no digit: consecutive samples, together all of them.
        run: Where shards are measured, as `map` does here.

    Raises:
        DataError: If the traces are of other samples or of fewer than two, or hold other outputs.
        ProjectError: If a metric of the project's own fails, or the budget limits one that there is not.
    """
    _check_samples(name, reference, candidate)
    own, settings, by_output = own or {}, bootstrap or Bootstrap(), by_output or {}
    legs = []
    for spec in outputs:
        allowed = by_output.get(spec.name, limits)
        if spec.meaning == "classes":  # of detections, which stand in no order: their boxes are judged
            allowed = allowed.model_copy(update={"min_agreement": None})
        _check_output(name, spec, reference, candidate)
        theirs, ours = reference.outputs[spec.name], candidate.outputs[spec.name]
        seen = measured(spec, outputs, reference.outputs, candidate.outputs, reference.samples, places=places, run=run)
        true = truth.of(spec, reference.samples, outputs)
        personal = custom.statistics_of(own[spec.name], theirs, ours, true) if spec.name in own else {}
        statistics = {**seen.statistics, **personal}
        values = points(statistics, len(reference))
        known = intervals(_drawn(statistics, allowed), len(reference), settings)
        metrics = collect(seen.extremes, values).model_copy(update={"custom": {key: values[key] for key in personal}})
        if allowed.min_map_agreement is not None and spec.meaning == "boxes" and "map_agreement" not in values:
            raise DataError(
                f"The {name} leg cannot say how far detections agree: the reference finds nothing with confidence.",
                hint="Leave min_map_agreement out, or check the evaluation data.",
            )
        legs.append(
            Leg(
                name=name,
                artifact=artifact,
                output=spec.name,
                reference=describe(reference),
                candidate=describe(candidate),
                metrics=metrics,
                intervals=known,
                checks=(*gate.checks(metrics, values, known, allowed), *varying.checks(seen.varying)),
            )
        )
    custom.check_names(limits, frozenset(key for leg in legs for key in leg.metrics.custom))
    for leg in legs:
        wanted = by_output.get(leg.output, limits).custom
        alone = Limits(custom={key: limit for key, limit in wanted.items() if key not in limits.custom})
        custom.check_names(alone, frozenset(leg.metrics.custom))
    return tuple(legs)


def leg_of(
    budget: Budget,
    name: LegName,
    reference: Trace,
    candidate: Trace,
    outputs: tuple[TensorSpec, ...],
    *,
    artifact: str | None = None,
    own: OwnMetrics | None = None,
) -> tuple[Leg, ...]:
    """Measure one leg and hold it against what a budget says of it, see `compare`."""
    return compare(
        name,
        reference,
        candidate,
        outputs,
        budget.legs[name],
        artifact=artifact,
        bootstrap=budget.bootstrap,
        own=own,
        by_output=budget.by_output(name),
    )


def describe(trace: Trace) -> str:
    """Say in one line where a trace was computed."""
    return f"{trace.origin.program}: {trace.origin.kernels} on {trace.origin.place}"


def _check_samples(name: LegName, reference: Trace, candidate: Trace) -> None:
    if reference.samples.digest != candidate.samples.digest:
        raise DataError(
            f"The {name} leg would compare answers to different samples.",
            hint="The evaluation data has changed since the baseline: edgekit baseline record",
        )
    if len(reference) < 2:
        raise DataError(
            f"The {name} leg has {len(reference)} sample; how sure a number is cannot be said of fewer than two.",
            hint="Evaluate on as many samples as there are; hundreds are usual.",
        )


def _check_output(name: LegName, spec: TensorSpec, reference: Trace, candidate: Trace) -> None:
    for side in (reference, candidate):
        if spec.name not in side.outputs:
            raise DataError(
                f"The {name} leg needs the output {spec.name}; {side.origin.place} has {', '.join(side.outputs)}.",
                hint="Record the baseline again: edgekit baseline record",
            )
    ours, theirs = candidate.outputs[spec.name], reference.outputs[spec.name]
    if ours.shape != theirs.shape:
        raise DataError(f"{spec.name} has shape {ours.shape} against {theirs.shape} in the {name} leg.")


def _drawn(statistics: Mapping[str, Statistic], limits: Limits) -> dict[str, Statistic]:
    """Return the statistics that get an interval: all quick ones, and those slow ones that a limit asks about."""
    asked = {rule.metric for rule, _ in given(limits)}
    for name in [name for name in asked if name in statistics]:
        statistic = statistics[name]
        if isinstance(statistic, Derived):
            asked |= set(statistic.of)

    def slow(statistic: Statistic) -> bool:
        if isinstance(statistic, Derived):
            return any(slow(statistics[name]) for name in statistic.of)
        return isinstance(statistic, OfCounts)

    return {name: statistic for name, statistic in statistics.items() if name in asked or not slow(statistic)}

"""Limits held against metrics: the result of each."""

from collections.abc import Mapping

from edgekit.drift.metrics import Metrics
from edgekit.drift.report import Check, LimitResult
from edgekit.drift.statistics import Interval
from edgekit.spec import Limits
from edgekit.spec.limits import Rule, given

# Rounding of the arithmetic must not break a limit that is met exactly.
_EXACT = 1e-12


def checks(
    metrics: Metrics, values: Mapping[str, float], intervals: Mapping[str, Interval], limits: Limits
) -> tuple[Check, ...]:
    """Hold one output's metrics against the limits of its leg.

    A limit on a metric that does not apply (top-1 of an output that is no logits) is not checked here, see
    `unanswered`; identical outputs keep every limit on the ratio of signal to noise; a value that is not finite always
    breaks the budget. A limit is broken only if the favourable end of the interval breaks it too; a metric of single
    elements has no interval, and its value decides alone.

    Args:
        metrics: The metrics.
        values: All statistics by name, losses and shares included.
        intervals: Their confidence intervals.
        limits: The budget of the leg.
    """
    found = [
        Check(
            name="finite",
            metric="non_finite",
            limit=0,
            value=metrics.non_finite,
            interval=None,
            result=LimitResult.BROKEN if metrics.non_finite else LimitResult.KEPT,
        )
    ]
    known = {**values, "max_abs_error": metrics.max_abs_error}
    for rule, limit in given(limits):
        if rule.metric in known:
            interval = None if rule.metric == "max_abs_error" else intervals[rule.metric]
            found.append(_check(rule, limit, known[rule.metric], interval))
    return tuple(found)


def _check(rule: Rule, limit: float, value: float, interval: Interval | None) -> Check:
    sign = 1 if rule.better == "higher" else -1
    slack = _EXACT * max(1.0, abs(limit))

    def breaks(number: float) -> bool:
        return sign * number < sign * limit - slack

    favourable = None if interval is None else interval.high if rule.better == "higher" else interval.low
    if not breaks(value):
        result = LimitResult.KEPT
    elif interval is not None and (favourable is None or not breaks(favourable)):  # None: infinite
        result = LimitResult.NOISE
    else:
        result = LimitResult.BROKEN
    finite = abs(value) != float("inf")
    return Check(
        name=rule.name, metric=rule.metric, limit=limit, value=value if finite else None, interval=interval,
        result=result,
    )  # fmt: skip

"""Limits on a few fixed inputs: judged by the value alone, and against what the host made of the same ones."""

from edgekit.drift.report import Leg, LimitResult


def by_value(leg: Leg) -> Leg:
    """Return a leg whose limits are judged by the value alone: how sure a number is says nothing of fixed inputs."""
    found = {LimitResult.NOISE: LimitResult.BROKEN}
    checks = [
        check.model_copy(update={"interval": None, "result": found.get(check.result, check.result)})
        for check in leg.checks
    ]
    return leg.model_copy(update={"intervals": {}, "checks": tuple(checks)})


def excused(leg: Leg, host: Leg) -> Leg:
    """Return a leg without verdict on the limits that the host breaks on the same inputs; what is not finite counts."""
    broken = {check.name for check in host.breaches if check.name != "finite"}
    checks = [
        check.model_copy(update={"result": LimitResult.NOT_JUDGED})
        if check.result is LimitResult.BROKEN and check.name in broken
        else check
        for check in leg.checks
    ]
    return leg.model_copy(update={"checks": tuple(checks)})

"""Which step of the pipeline makes the error behind a limit that is broken."""

from dataclasses import dataclass

from edgekit.drift.report import DriftReport, Leg

_MOST = 0.5
"""A step that makes so large a share of the error's energy makes most of it."""


@dataclass(frozen=True, kw_only=True)
class Blame:
    """The leg that a broken limit comes from."""

    leg: Leg
    """The step that makes most of the error."""
    broken: Leg
    """The leg whose limit is broken; the same one where that is no sum of several."""


def blamed(report: DriftReport) -> Blame | None:
    """Return the step that makes most of the error of what breaks a limit; None: no limit is broken.

    The legs between server and artifact are steps, and each stands for itself. The total holds what all of them do:
    the first of its steps that makes half of its error or more is to blame, and where none does, the total itself.
    Errors do not add up: a lowered file rounds other values than its program, and is often no farther from float.
    """
    found = [_of_leg(report, leg) for leg in report.legs if leg.breaches]
    return max(found, key=lambda one: noise(one.leg), default=None)


def _of_leg(report: DriftReport, broken: Leg) -> Blame:
    if broken.name != "total":
        return Blame(leg=broken, broken=broken)
    steps = [leg for leg in report.legs if leg.output == broken.output and leg.artifact in (None, broken.artifact)]
    by_name = {leg.name: leg for leg in steps}
    for name in ("server", "quantization", "lowering"):
        leg = by_name.get(name)
        if leg is not None and noise(leg) >= _MOST * noise(broken) > 0:
            return Blame(leg=leg, broken=broken)
    return Blame(leg=broken, broken=broken)


def noise(leg: Leg) -> float:
    """Return the energy of a leg's error as a share of the signal's; of integers, the share that is not equal."""
    if leg.metrics.agreement is not None:
        return 1 - leg.metrics.agreement
    return 0.0 if leg.metrics.sqnr_db is None else 10 ** (-leg.metrics.sqnr_db / 10)

"""What is over its budget, in words."""

from collections.abc import Iterator
from typing import assert_never

from edgekit.base.numbers import kilobytes
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.drift.report import Check, DriftReport, Leg
from edgekit.drift.statistics import Interval
from edgekit.model.layers import FallbackReport


def leg_name(leg: Leg) -> str:
    """Return a leg's name and, where it ends in one, the artifact: ``lowering model.pte``."""
    return leg.name if leg.artifact is None else f"{leg.name} {leg.artifact}"


def number(value: float | None) -> str:
    """Return a metric's value; what is infinite is the SQNR of outputs that do not differ."""
    return "identical" if value is None else f"{value:.4g}"


def interval(found: Interval | None) -> str:
    """Return ``low to high``, or nothing."""
    if found is None:
        return ""
    ends = [number(found.low), number(found.high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def allowed(check: Check) -> str:
    """Return what a limit allows, ``>= 0.98``."""
    sign = "<=" if at_most(check.name) else ">="
    return f"{sign} {check.limit:g}"


def at_most(name: str) -> bool:
    """Whether a limit is the largest allowed value, and not the least."""
    return name in ("finite", "golden_tolerance") or name.startswith("max_")


def of_drift(report: DriftReport) -> Iterator[str]:
    """Yield one line for each limit that the drift breaks."""
    for leg in report.legs:
        for check in leg.breaches:
            yield f"{_where(report, leg)}: {sentence(check, report)}"


def doubts_of(report: DriftReport) -> Iterator[str]:
    """Yield one line for each limit whose break may be noise."""
    for leg in report.legs:
        for check in leg.doubts:
            told = f"not told apart from noise with {report.samples} samples"
            yield f"{_where(report, leg)}: {sentence(check, report)}: {told}"


def of_manifest(manifest: Manifest) -> Iterator[str]:
    """Yield one line for each limit that a bundle breaks: drift, then sizes; then one for each format not built."""
    yield from of_drift(manifest.drift)
    yield from of_sizes(manifest.artifacts)
    for one in manifest.refused:
        yield f"model.{one.format} was not built: {one.reason} {one.hint}".rstrip()


def of_sizes(artifacts: tuple[ArtifactInfo, ...]) -> Iterator[str]:
    """Yield one line for each file that is too large."""
    for item in artifacts:
        if not item.within_size:
            yield f"{item.file}: size {kilobytes(item.bytes)} against a limit of {kilobytes(item.size_limit)}"


def of_fallback(report: FallbackReport) -> str:
    """Say what keeping layers in float has come to."""
    match report.outcome:
        case "met":
            return "The budget is met."
        case "limit":
            return "The budget is not met: the layers that would help are over fallback_limit or the file's limit."
        case "no gain":
            return "The budget is not met: no layer that is left would help."
        case "not int8":
            return "The budget is not met, but not for quantization: no layer was kept in float."
        case _:
            assert_never(report.outcome)


def sentence(check: Check, report: DriftReport) -> str:
    """Say of one limit what was measured, what is allowed, and how sure the number is."""
    sure = f" ({100 * report.bootstrap.confidence:g} %: {interval(check.interval)})" if check.interval else ""
    return f"{check.metric} {number(check.value)} against a limit of {check.limit:.4g}{sure}"


def _where(report: DriftReport, leg: Leg) -> str:
    several = len({other.output for other in report.legs}) > 1
    return leg_name(leg) + (f" ({leg.output})" if several else "")

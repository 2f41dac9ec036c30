"""What is over its budget, in words."""

from collections.abc import Iterator

from edgekit.drift.report import DriftReport, Leg
from edgekit.manifest import Manifest
from edgekit.render.numbers import kilobytes


def leg_name(leg: Leg) -> str:
    """Return a leg's name and, where it ends in one, the artifact: ``lowering model.pte``."""
    return leg.name if leg.artifact is None else f"{leg.name} {leg.artifact}"


def of_drift(report: DriftReport) -> Iterator[str]:
    """Yield one line for each limit that the drift breaks."""
    outputs = {leg.output for leg in report.legs}
    for leg in report.legs:
        where = leg_name(leg) + (f" ({leg.output})" if len(outputs) > 1 else "")
        for breach in leg.breaches:
            yield f"{where}: {breach.metric} {breach.value:.4g} against a limit of {breach.limit:.4g}"


def of_manifest(manifest: Manifest) -> Iterator[str]:
    """Yield one line for each limit that a bundle breaks: drift, then sizes."""
    yield from of_drift(manifest.drift)
    for item in manifest.artifacts:
        if not item.within_size:
            yield f"{item.file}: size {kilobytes(item.bytes)} against a limit of {kilobytes(item.size_limit)}"

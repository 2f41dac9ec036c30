"""One case for each limit of a gate, as build servers and reviewers read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.changes import Side
from edgekit.bundles.manifest import ArtifactInfo, Manifest, Report, report
from edgekit.drift.report import DriftReport, LimitResult


@dataclass(frozen=True, kw_only=True)
class Case:
    """A limit, and its result."""

    place: str
    """What was measured: the leg, the artifact and the output; or the artifact."""
    name: str
    """The limit's name."""
    result: LimitResult
    allowed: str
    measured: str
    interval: str
    sentence: str
    """All of it in words."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The cases of one build or comparison."""

    name: str
    cases: tuple[Case, ...]

    @property
    def passed(self) -> bool:
        """Whether no limit is broken."""
        return all(case.result is not LimitResult.BROKEN for case in self.cases)


def of_manifest(manifest: Manifest) -> Suite:
    """Return the limits of a bundle: drift, then sizes."""
    return _of_report(report(manifest))


def of_side(side: Side) -> Suite:
    """Return the limits of one of two that are compared."""
    return of_drift(side.path, side.drift) if side.report is None else _of_report(side.report)


def of_drift(path: str, drift: DriftReport) -> Suite:
    """Return the limits of something that was measured against a baseline."""
    return Suite(name=Path(path).name, cases=tuple(_drift(drift)))


def _of_report(found: Report) -> Suite:
    name = f"{found.model.name}.{found.target.name}"
    return Suite(name=name, cases=(*_drift(found.drift), *_sizes(found.artifacts)))


def _drift(report: DriftReport) -> Iterator[Case]:
    for leg in report.legs:
        for check in leg.checks:
            doubt = check.result is LimitResult.NOISE
            told = f": not told apart from noise with {report.samples} samples" if doubt else ""
            yield Case(
                place=f"{verdict.leg_name(leg)} {leg.output}",
                name=check.name,
                result=check.result,
                allowed=verdict.allowed(check),
                measured=verdict.number(check.value),
                interval=verdict.interval(check.interval),
                sentence=f"{verdict.sentence(check, report)}{told}",
            )


def _sizes(artifacts: tuple[ArtifactInfo, ...]) -> Iterator[Case]:
    for item in artifacts:
        size, limit = numbers.kilobytes(item.bytes), numbers.kilobytes(item.size_limit)
        yield Case(
            place=item.file,
            name="size",
            result=LimitResult.KEPT if item.within_size else LimitResult.BROKEN,
            allowed=f"<= {limit}",
            measured=size,
            interval="",
            sentence=f"size {size} against a limit of {limit}",
        )

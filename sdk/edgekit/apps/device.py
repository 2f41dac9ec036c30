"""The legs that a device adds: what a phone computed of a bundle's golden inputs, against the host and the reference.

Golden inputs are few and always the same, so a limit is judged by the value itself and no interval is made. In total a
limit that the host's own outputs break on these inputs as well says nothing of the device and is not judged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit import bundles
from edgekit.bundles import golden
from edgekit.bundles.golden import GoldenTraces
from edgekit.bundles.manifest import MANIFEST_FILE, Manifest, parse
from edgekit.data.rows import Rows, whole
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.drift.compare import leg_of
from edgekit.drift.fixed import by_value, excused
from edgekit.drift.report import Check, DriftReport, Leg, LegName, LimitResult
from edgekit.errors import BundleError, DataError
from edgekit.spec import Budget, LegBudgets
from edgekit.spec.limits import given

_FOLDER = "artifacts"  # where `edgekit build` writes to


@dataclass(frozen=True, kw_only=True)
class OpenBundle:
    """A bundle and its golden vectors, read."""

    folder: Path
    manifest: Manifest
    golden: GoldenTraces


def open_bundle(folder: Path) -> OpenBundle:
    """Read a bundle and its golden vectors.

    Raises:
        BundleError: If it is none, or damaged.
    """
    manifest = bundles.read(folder)
    return OpenBundle(folder=folder, manifest=manifest, golden=golden.read(folder, manifest))


def compare_trace(candidate: Trace, named: Path | None, roots: Iterable[Path]) -> DriftReport:
    """Hold what a device computed against the golden outputs of the bundle that it ran.

    Args:
        candidate: The trace that the app wrote.
        named: The bundle; looked for unless given.
        roots: Folders whose ``artifacts/MODEL/TARGET`` are looked through.

    Raises:
        BundleError: If there is no such bundle, or several that differ.
        DataError: If the trace is of other inputs, or lacks an output.
    """
    opened = open_bundle(named or _found(candidate, roots))
    return report(opened, [candidate])


def report(opened: OpenBundle, candidates: Sequence[Trace]) -> DriftReport:
    """Measure the legs device and total of every artifact that a device ran.

    Raises:
        BundleError: If a trace is of another artifact.
        DataError: If it is of other inputs, or lacks an output.
    """
    manifest, samples = opened.manifest, opened.golden.reference.samples
    measured = tuple(leg for candidate in candidates for leg in _legs(opened, candidate))
    notes = [f"Measured on the {len(samples)} golden inputs of the bundle; each limit is judged by its value alone."]
    notes += [
        f"{origin.artifact} was computed by {origin.provider} on {origin.chip or 'an unnamed chip'}."
        for origin in (candidate.origin for candidate in candidates)
        if origin.provider is not None
    ]
    if missing := _unmeasured(manifest.budget, measured):
        notes.append(f"Not measured on golden inputs: {', '.join(missing)}.")
    return DriftReport(
        samples=len(samples),
        samples_sha256=samples.digest,
        bootstrap=manifest.budget.bootstrap,
        legs=measured,
        notes=tuple(notes),
    )


def golden_check(vectors: GoldenTraces, owner: str | None, output: str, candidate: Trace) -> Check:
    """Hold every element of an output against the tolerance of its golden vector; the worst of them speaks for all.

    What is not finite breaks the check ``finite``, and is left out here.

    Args:
        vectors: The golden vectors.
        owner: The artifact whose own outputs are expected; None: the reference's.
        output: The output.
        candidate: What a device gave for the golden inputs.
    """
    expected = (vectors.reference if owner is None else vectors.artifacts[owner]).array(output)
    error = np.abs(candidate.array(output).astype(np.float64) - expected.astype(np.float64))
    worst = np.where(np.isfinite(error), error, 0.0).reshape(len(error), -1).max(axis=1)
    allowed = np.array(vectors.tolerances[owner, output])
    row = int(np.argmax(worst - allowed))
    return Check(
        name="golden_tolerance",
        metric="golden_error",
        limit=float(allowed[row]),
        value=float(worst[row]),
        interval=None,
        result=LimitResult.BROKEN if worst[row] > allowed[row] else LimitResult.KEPT,
    )


def _found(candidate: Trace, roots: Iterable[Path]) -> Path:
    """Return the bundle that holds the artifact; of several that would judge alike the first."""
    wanted = candidate.origin.artifact_sha256
    hint = "Name it: edgekit compare TRACE.npz --bundle artifacts/MODEL/TARGET"
    found: dict[Path, Manifest] = {}
    for file in sorted({file.resolve() for root in roots for file in (root / _FOLDER).glob(f"*/*/{MANIFEST_FILE}")}):
        try:
            manifest = parse(file.read_text(encoding="utf-8", errors="replace"), where=str(file))
        except BundleError:
            continue  # another version's; it is read, and found wanting, if it is named
        if wanted in {info.sha256 for info in manifest.artifacts}:
            found[file.parent] = manifest
    if not found:
        raise BundleError(
            f"No bundle in {_FOLDER}/*/* has the artifact that the device ran "
            f"({candidate.origin.artifact or 'unnamed'}, sha256 {(wanted or 'unknown')[:12]}).",
            hint=hint,
        )
    first = next(iter(found.values()))
    same = ("golden", "budget", "outputs")
    if any(getattr(other, name) != getattr(first, name) for other in found.values() for name in same):
        folders = "".join(f"\n  - {folder}" for folder in found)
        raise BundleError(f"Several bundles that differ have the artifact that the device ran:{folders}", hint=hint)
    return next(iter(found))


def _legs(opened: OpenBundle, candidate: Trace) -> tuple[Leg, ...]:
    file = _artifact(opened, candidate)
    vectors, budget = opened.golden, _countable(opened.manifest.budget)
    candidate = replace(candidate, samples=_same(vectors.reference.samples, candidate, opened.folder))
    host = vectors.artifacts[file]

    def measured(name: LegName, reference: Trace, other: Trace) -> list[Leg]:
        outputs = opened.manifest.outputs
        return [by_value(leg) for leg in leg_of(budget, name, reference, other, outputs, artifact=file)]

    def finished(leg: Leg, place: str, owner: str | None) -> Leg:
        checks = (*leg.checks, golden_check(vectors, owner, leg.output, candidate))
        return leg.model_copy(update={"reference": place, "checks": checks})

    places = _places(opened.manifest, file)
    own = [finished(leg, places[1], file) for leg in measured("device", host, candidate)]
    twins = measured("total", vectors.reference, host)
    total = [
        finished(excused(leg, twin), places[0], None)
        for leg, twin in zip(measured("total", vectors.reference, candidate), twins, strict=True)
    ]
    return (*own, *total)


def _artifact(opened: OpenBundle, candidate: Trace) -> str:
    """Return the artifact that a trace is of."""
    origin = candidate.origin
    for info in opened.manifest.artifacts:
        if info.sha256 == origin.artifact_sha256:
            return info.file
    raise BundleError(
        f"The device ran another artifact than those of {opened.folder}: {origin.artifact or 'unnamed'}, "
        f"sha256 {(origin.artifact_sha256 or 'unknown')[:12]}.",
        hint="Put this bundle into the app and run the self-test again, or name the one that was there with --bundle.",
    )


def _same(samples: Samples, candidate: Trace, folder: Path) -> Samples:
    """Return the golden samples, if the device was fed with them."""
    theirs = candidate.samples
    faults = [name for name, rows in samples.inputs.items() if not _equal(rows, theirs.inputs.get(name))]
    faults += [name for name in theirs.inputs if name not in samples.inputs]
    if theirs.labels is not None and (samples.labels is None or not _equal(samples.labels, theirs.labels)):
        faults.append("labels")
    if faults:
        raise DataError(
            f"The device was fed with other samples than the golden inputs of {folder}: {', '.join(faults)} differ.",
            hint="Only the app's self-test makes a trace that compares; run it with this bundle.",
        )
    return samples


def _equal(one: Rows, other: Rows | None) -> bool:
    return other is not None and one.dtype == other.dtype and np.array_equal(whole(one), whole(other))


def _countable(budget: Budget) -> Budget:
    """Return a budget without limits for the project's own metrics: a bundle does not carry their code."""

    def stripped(legs: LegBudgets) -> dict[str, object]:
        return {leg: limits.model_copy(update={"custom": {}}) for leg, limits in legs.legs.items()}

    outputs = {name: own.model_copy(update=stripped(own)) for name, own in budget.outputs.items()}
    return budget.model_copy(update={**stripped(budget), "outputs": outputs})


def _places(manifest: Manifest, file: str) -> tuple[str, str]:
    """Return where the reference and the host's run of an artifact were computed, as the build has measured."""
    for leg in manifest.drift.legs:
        if leg.name == "total" and leg.artifact == file:
            return leg.reference, leg.candidate
    return manifest.baseline, f"artifact: {file} on the build host"


def _unmeasured(budget: Budget, legs: Iterable[Leg]) -> list[str]:
    """Return the limits of the two legs that no output of the device could be held against."""
    checked = {(leg.name, check.name) for leg in legs for check in leg.checks}
    asked = [
        (leg, rule.name)
        for one in (budget, *budget.outputs.values())
        for leg in ("device", "total")
        for rule, _ in given(one.legs[leg])
    ]
    return [f"{leg}.{name}" for leg, name in dict.fromkeys(asked) if (leg, name) not in checked]

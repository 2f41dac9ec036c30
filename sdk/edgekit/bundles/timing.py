"""What artifacts take, as far as a bundle has been profiled, and how that changed from one build to another."""

from pathlib import Path
from typing import Literal

from edgekit.base import digest
from edgekit.bundles import device_profile, profile
from edgekit.bundles.manifest import MANIFEST_FILE
from edgekit.spec import Spec

Where = Literal["host", "device"]


class Timed(Spec):
    """The latency of one artifact with one sample."""

    artifact: str
    """The artifact's file."""
    median_ms: float
    """50th percentile, in milliseconds."""
    p99_ms: float
    """99th percentile, in milliseconds."""


class Timings(Spec):
    """The latencies that one profile measured."""

    where: Where
    """Whether the machine that profiled or a phone ran the artifacts."""
    place: str
    """The machine."""
    artifacts: tuple[Timed, ...]
    """By artifact."""


class LatencyChange(Spec):
    """What became of one artifact's latency."""

    artifact: str
    """The artifact's file."""
    where: Where
    """What ran it."""
    old: Timed | None
    """The old latency; null: not measured."""
    new: Timed | None
    """The new latency; null: not measured."""
    median_ratio: float | None
    """The new median as a multiple of the old one; null unless both were measured."""
    p99_ratio: float | None
    """The same of the 99th percentile."""


def read(folder: Path) -> tuple[Timings, ...]:
    """Return the latencies in the profiles of a bundle; none of a profile that is of another build or version."""
    sha256 = digest.of_file(folder / MANIFEST_FILE)
    found = []
    if (host := profile.of_bundle(folder, sha256)) is not None:
        costs = (one for one in host.costs if one.precision == "quantized")
        times = (
            Timed(artifact=one.artifact, median_ms=one.latency.median_ms, p99_ms=one.latency.p99_ms) for one in costs
        )
        found.append(Timings(where="host", place=host.host, artifacts=tuple(times)))
    if (phone := device_profile.of_bundle(folder, sha256)) is not None:
        times = (
            Timed(artifact=one.artifact, median_ms=one.median_ms, p99_ms=one.p99_ms)
            for one in phone.artifacts
            if one.median_ms is not None and one.p99_ms is not None
        )
        place = ", ".join(filter(None, (phone.device.name, phone.device.soc, phone.device.os)))
        found.append(Timings(where="device", place=place, artifacts=tuple(times)))
    return tuple(found)


def compare(
    files: tuple[str, ...], old: tuple[Timings, ...], new: tuple[Timings, ...]
) -> tuple[tuple[LatencyChange, ...], tuple[str, ...]]:
    """Hold the latencies of two builds against each other.

    Args:
        files: The artifacts of both; each has a row for the host even where nothing was measured.
        old: The latencies before.
        new: The latencies after.

    Returns:
        The changes, and what a reader must know of them.
    """
    changes, notes = [], []
    kinds: tuple[Where, ...] = ("host", "device")
    for where in kinds:
        sides = [next((one for one in side if one.where == where), None) for side in (old, new)]
        if where == "device" and sides == [None, None]:
            continue
        times = [{} if side is None else {one.artifact: one for one in side.artifacts} for side in sides]
        changes += [_change(file, where, times[0].get(file), times[1].get(file)) for file in files]
        places = [side.place for side in sides if side is not None]
        if len(set(places)) == 2:
            kind = "machines" if where == "host" else "devices"
            notes.append(f"Latency was measured on two {kind}, and is not the change's alone: {'; '.join(places)}.")
    return tuple(changes), tuple(notes)


def _change(file: str, where: Where, old: Timed | None, new: Timed | None) -> LatencyChange:
    pair = None if old is None or new is None else (old, new)
    return LatencyChange(
        artifact=file,
        where=where,
        old=old,
        new=new,
        median_ratio=None if pair is None else _ratio(pair[1].median_ms, pair[0].median_ms),
        p99_ratio=None if pair is None else _ratio(pair[1].p99_ms, pair[0].p99_ms),
    )


def _ratio(new: float, old: float) -> float | None:
    return new / old if old > 0 else None

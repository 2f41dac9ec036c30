"""Hold what an artifact needs against what the runtime carries that the app will link: before the phone does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from edgekit.base import requirements
from edgekit.base.versions import installed
from edgekit.errors import CompatibilityError
from edgekit.spec import Format
from edgekit.targets import runtimes
from edgekit.targets.runtimes import Runtime
from edgekit.targets.runtimes.header import read


class Certainty(StrEnum):
    """How sure it is that something is missing."""

    MISSING = "missing"
    """It is not in the library: the app would fail to load the artifact."""
    DOUBTFUL = "doubtful"
    """Of the libraries that were read in its place, one has it and another has not."""
    UNKNOWN = "unknown"
    """Nobody looked into this version of the runtime."""


@dataclass(frozen=True, kw_only=True)
class CompatibilityResult:
    """Something that an artifact needs and its runtime does not, or may not, carry."""

    artifact: str
    certainty: Certainty
    says: str
    """The whole of it in one sentence."""


def examine(
    file: str,
    format: Format,
    *,
    operators: Iterable[str],
    delegates: Iterable[str],
    pins: Mapping[str, str],
    not_delegated: Iterable[str] = (),
    data: bytes | None = None,
) -> tuple[CompatibilityResult, ...]:
    """Return what an artifact needs that its runtime lacks.

    Args:
        file: The artifact's name, for messages.
        format: Its format, which says the runtime.
        operators: Operators that the runtime computes beside the delegates.
        delegates: Backends, or execution providers.
        pins: Versions that the app pins, by package.
        not_delegated: Operations outside the delegates with the layers that they are in, for messages.
        data: The file's content; of an .onnx it says the versions of operators and format.
    """
    if format in runtimes.SYSTEMS:
        return ()
    library = runtimes.LIBRARIES[format]
    package = next((name for name in pins if runtimes.library_of(name) == library), None)
    if package is None:
        says = f"{file}: the target pins no {library}, so what the app links is not known."
        return (CompatibilityResult(artifact=file, certainty=Certainty.UNKNOWN, says=says),)
    runtime = runtimes.load(package, pins[package])
    if runtime is None:
        says = f"{file}: nobody looked into {package} {pins[package]}; a missing operator would show on the device."
        return (CompatibilityResult(artifact=file, certainty=Certainty.UNKNOWN, says=says),)
    found = [*_backends(delegates, runtime)]
    if format is Format.PTE:
        found += _kernels(operators, tuple(not_delegated), runtime)
    else:
        found += _versioned(operators, runtime, data)
    name = f"{package} {runtime.version}"
    return tuple(
        CompatibilityResult(artifact=file, certainty=certainty, says=f"{file}: {what}".replace("RUNTIME", name))
        for certainty, what in found
    )


def _backends(delegates: Iterable[str], runtime: Runtime) -> Iterator[tuple[Certainty, str]]:
    for name in delegates:
        if name not in runtime.backends and name not in runtimes.PLUGINS:
            there = ", ".join(runtime.backends)
            yield Certainty.MISSING, f"the backend {name} is not in RUNTIME, which has {there}"


def _kernels(operators: Iterable[str], places: tuple[str, ...], runtime: Runtime) -> Iterator[tuple[Certainty, str]]:
    for name in operators:
        # The program stores what has no overload under its bare name, the registry may say default.
        if name in runtime.operators or f"{name}.default" in runtime.operators:
            continue
        if name in runtime.doubtful:
            yield Certainty.DOUBTFUL, f"the operator {name} may be missing in RUNTIME: {runtime.doubtful[name]}"
        else:
            yield Certainty.MISSING, f"the operator {name} is not in RUNTIME{_where(name, places)}"


def _where(operator: str, places: tuple[str, ...]) -> str:
    """Say which layers an operator comes from, as far as anybody knows: ``sort (head)`` is such a place."""
    short = operator.partition("::")[2].partition(".")[0]
    layers = [place.partition(" (")[2].rstrip(")") for place in places if place.startswith(f"{short} (")]
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    return f"; it is needed by {', '.join(layers[:3])}{more}" if layers else ""


def _versioned(operators: Iterable[str], runtime: Runtime, data: bytes | None) -> Iterator[tuple[Certainty, str]]:
    header = read(data) if data is not None else None
    opsets = header.opsets if header is not None else {}
    if header is not None and runtime.ir_version is not None and header.ir_version > runtime.ir_version:
        yield (
            Certainty.MISSING,
            f"it has version {header.ir_version} of ONNX's format, RUNTIME reads up to {runtime.ir_version}",
        )
    if runtime.opset is not None and opsets.get("", 0) > runtime.opset:
        yield Certainty.MISSING, f"it has operator set {opsets['']}, RUNTIME reads up to {runtime.opset}"
        return
    for name in operators:
        # The manifest names operators without their domain.
        ranges = runtime.operators.get(name, ())
        if any(first <= opsets.get("", last) <= last for first, last in ranges):
            continue
        if f"com.microsoft::{name}" in runtime.operators and (not opsets or "com.microsoft" in opsets):
            continue
        at = f" at operator set {opsets['']}" if ranges and "" in opsets else ""
        yield Certainty.MISSING, f"the operator {name} is not in RUNTIME{at}"


def minimum(format: Format, pins: Mapping[str, str]) -> str:
    """Return the least version of a runtime: what the host verified with, or an older one that was looked into.

    Args:
        format: The artifact's format.
        pins: Versions that the app pins; what a known one lacks has been refused before.
    """
    if format in runtimes.SYSTEMS:
        return runtimes.SYSTEMS[format]
    library = runtimes.LIBRARIES[format]
    host = installed(library)[library]
    for package, version in pins.items():
        own = runtimes.number(version)
        known = runtimes.library_of(package) == library and runtimes.load(package, version) is not None
        if known and requirements.release(own) < requirements.release(host):
            return f"{library} {own}"
    return f"{library} {host}"


def require(results: Iterable[CompatibilityResult]) -> tuple[str, ...]:
    """Return in words what is doubtful or not known.

    Raises:
        CompatibilityError: If anything is missing; it names all of it.
    """
    results = tuple(results)
    if missing := [result for result in results if result.certainty is Certainty.MISSING]:
        raise CompatibilityError(
            "the app's runtime cannot load what was built:\n" + "\n".join(f"  - {one.says}" for one in missing),
            hint="Pin a version of the runtime that has it, under [runtimes] of a target profile of your own, or "
            "change the model so that it is not needed.",
        )
    return tuple(f"{result.says.rstrip('.')}." for result in results)

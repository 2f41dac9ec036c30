"""Lower a program, or take from the cache what was lowered before from an equal one."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, assert_never

from edgekit.base import cache as caches
from edgekit.base import digest, environment
from edgekit.base.cache import Cache, Entry
from edgekit.lowering import onnx, pte
from edgekit.lowering.pte import Check
from edgekit.model import fingerprint
from edgekit.model.artifact import Artifact
from edgekit.model.left_out import LeftOut
from edgekit.model.narrow import for_device
from edgekit.model.program import Captured, Quantized
from edgekit.spec import Format, Scheme, Target


def name(format: Format, target: Target, scheme: Scheme) -> str:
    """Name what decides the bytes of an artifact, so that targets that agree on it share one."""
    match format:
        case Format.PTE:
            return f"{scheme} .pte for {target.pte.delegate}"
        case Format.ONNX:
            settings = _onnx_settings(target, scheme)
            return f"{scheme} .onnx" + (f" with {settings}" if settings else "")
        case Format.AIMODEL:
            return f"{scheme} .aimodel"
        case _:
            assert_never(format)


def _onnx_settings(target: Target, scheme: Scheme) -> str:
    """Name the types that a scheme stores values in, as far as it stores any."""
    weights, activations = target.onnx.weights, target.onnx.activations
    match scheme:
        case Scheme.FLOAT:
            return ""
        case Scheme.INT8_DYNAMIC:
            return f"{weights} weights"
        case Scheme.INT8 | Scheme.INT8_MIXED | Scheme.W4_DYNAMIC:
            return f"{weights} weights, {activations} activations"
        case Scheme.W8A16:
            return f"{weights} weights, {activations.replace('8', '16')} activations"
        case _:
            assert_never(scheme)


def lower(
    format: Format, target: Target, quantized: Quantized, cache: Cache | None, check: Check | None = None
) -> tuple[Artifact, bool]:
    """Return the artifact of a quantized program, and whether the cache had it.

    Args:
        format: The format.
        target: The target, for its settings.
        quantized: The program.
        cache: Where artifacts are kept.
        check: Loads and runs a file, and raises `RunError` if that fails: what is refused is left outside the delegate.

    Raises:
        LowerError: If the program cannot be lowered.
    """
    settings = format.value, _settings(format, target)
    return kept(quantized, cache, settings, lambda program: _lower(format, target, program, check))


def kept(
    quantized: Quantized, cache: Cache | None, settings: Sequence[object], make: Callable[[Quantized], Artifact]
) -> tuple[Artifact, bool]:
    """Return what is made of a quantized program, and whether the cache had it.

    Args:
        quantized: The program.
        cache: Where artifacts are kept.
        settings: All that `make` reads beside the program, as JSON takes it.
        make: Makes the artifact.

    Raises:
        LowerError: If it cannot be made.
    """
    key = None
    if cache is not None:
        program = fingerprint.of_program(quantized.program, quantized.captured.source)
        key = _key(program, quantized.scheme.value, *settings)
        entry = caches.get(cache, "artifact", key) if key else None
        if entry is not None and (known := _artifact(entry)) is not None:
            return known, True
    artifact = make(quantized)
    if cache is not None and key:
        caches.put(cache, "artifact", key, _entry(artifact))
    return artifact, False


def export_float(captured: Captured, cache: Cache | None) -> tuple[bytes, bool]:
    """Return the float program as ONNX, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be exported.
    """
    key = None
    if cache is not None:
        key = _key(fingerprint.of_program(captured.program, captured.source), "float")
        entry = caches.get(cache, "float-onnx", key) if key else None
        if entry is not None and "model.onnx" in entry.files:
            return entry.files["model.onnx"], True
    data = onnx.export_float(replace(captured, program=for_device(captured.program, captured)))
    if cache is not None and key:
        caches.put(cache, "float-onnx", key, Entry(files={"model.onnx": data}))
    return data, False


def _key(program: str | None, *settings: object) -> str | None:
    return None if program is None else digest.of_json([program, environment.of_tools(), *settings])


def _settings(format: Format, target: Target) -> dict[str, Any]:
    match format:
        case Format.PTE:
            return target.pte.model_dump(mode="json")
        case Format.ONNX:
            return target.onnx.model_dump(mode="json")
        case Format.AIMODEL:
            return {}
        case _:
            assert_never(format)


def _lower(format: Format, target: Target, quantized: Quantized, check: Check | None) -> Artifact:
    quantized = replace(quantized, program=for_device(quantized.program, quantized.captured))
    match format:
        case Format.PTE:
            return pte.lower(quantized, target.pte, check)
        case Format.ONNX:
            return onnx.lower(quantized, target.onnx)
        case Format.AIMODEL:
            from edgekit.lowering import aimodel  # an extra: there may be none

            return aimodel.lower(quantized)
        case _:
            assert_never(format)


def _entry(artifact: Artifact) -> Entry:
    facts = asdict(artifact)
    facts["left_out"] = [one.model_dump(mode="json") for one in artifact.left_out]
    files = {artifact.file: facts.pop("data")}
    for number, data in enumerate(facts.pop("reference")):
        files[f"reference-{number}"] = data
    return Entry(files=files, facts=facts)


def _artifact(entry: Entry) -> Artifact | None:
    """Return the artifact in an entry; None if it is none, and has to be made anew."""
    facts: dict[str, Any] = {key: tuple(fact) if isinstance(fact, list) else fact for key, fact in entry.facts.items()}
    try:
        format, scheme = Format(facts.pop("format")), Scheme(facts.pop("scheme"))
        data = entry.files[f"model.{format}"]
        reference = tuple(entry.files[f"reference-{number}"] for number in range(len(entry.files) - 1))
        left_out = tuple(map(LeftOut.model_validate, facts.pop("left_out")))
        return Artifact(data=data, format=format, scheme=scheme, reference=reference, left_out=left_out, **facts)
    except (ValueError, KeyError, TypeError):
        return None

"""What is asked for, against what there are kernels for: the formats to write, and the scheme of each."""

from collections.abc import Sequence
from typing import assert_never

from edgekit.errors import ProjectError, TargetError
from edgekit.spec.quantization import STATIC_INT8, FormatSchemes, QuantSpec, Scheme
from edgekit.spec.target import Format, Target

# What a format can hold in the place of a scheme that it cannot.
_NEAREST = {Scheme.W8A16: Scheme.INT8, Scheme.W4_DYNAMIC: Scheme.INT8_DYNAMIC}


def obstacle(scheme: Scheme, format: Format) -> str | None:
    """Return why a format cannot hold a scheme, or None where it can."""
    if format is Format.AIMODEL and scheme not in (*STATIC_INT8, Scheme.FLOAT):
        return "static int8 and float alone were tried with Core AI"
    match scheme:
        case Scheme.INT8 | Scheme.INT8_MIXED | Scheme.INT8_DYNAMIC | Scheme.FLOAT:
            return None
        case Scheme.W8A16:
            return "XNNPACK has no kernels for 16-bit activations" if format is Format.PTE else None
        case Scheme.W4_DYNAMIC:
            return "4-bit weights in groups are lowered for XNNPACK alone" if format is Format.ONNX else None
        case _:
            assert_never(scheme)


def asked(spec: QuantSpec, format: Format) -> Scheme | None:
    """Return the scheme that the settings name for a format."""
    match spec.scheme:
        case FormatSchemes() as each:
            return {Format.PTE: each.pte, Format.ONNX: each.onnx}.get(format)
        case scheme:
            return scheme


def faults(spec: QuantSpec, formats: Sequence[Format]) -> list[str]:
    """Return a line for each format that cannot hold the scheme that the settings name for it."""
    return _faults({format: scheme for format in formats if (scheme := asked(spec, format)) is not None})


def of_target(target: Target, spec: QuantSpec) -> dict[Format, Scheme]:
    """Return the scheme of each format that a target writes.

    Raises:
        ProjectError: If a format has no kernels for its scheme, or int8-mixed does not say which layers stay float.
    """
    found = {format: asked(spec, format) or target.quantization for format in target.formats}
    if wrong := _faults(found):
        raise ProjectError("\n".join(f"{target.name}: {fault}." for fault in wrong), hint=_ways_out(found))
    computes = set(target.chip.schemes) | ({Scheme.INT8_MIXED} if Scheme.INT8 in target.chip.schemes else set())
    if computes and (beyond := set(found.values()) - computes):
        raise ProjectError(
            f"{target.name}: its chip, {target.chip.name}, does not compute {', '.join(sorted(beyond))}.",
            hint=f"It computes {', '.join(target.chip.schemes)}: choose one in [quantize] scheme, or another target.",
        )
    if Scheme.INT8_MIXED in found.values() and not spec.says_what_stays_float:
        raise ProjectError(
            f"{target.name}: the scheme int8-mixed does not say which layers stay float.",
            hint='Name them in [quantize]: float_layers = [...], or let them be chosen: fallback = "auto".',
        )
    return found


def check(target: Target, formats: Sequence[Format], spec: QuantSpec) -> None:
    """Make sure that there is something to build for a target.

    Args:
        target: The target.
        formats: The artifacts to write; all that the target has if there are none.
        spec: The settings.

    Raises:
        ProjectError: If it writes none of the formats, or has no kernels for the scheme.
    """
    (narrow,) = narrowed((target,), formats)
    of_target(narrow, spec)


def _faults(schemes: dict[Format, Scheme]) -> list[str]:
    return [
        f"{scheme} is not for .{format}: {reason}"
        for format, scheme in schemes.items()
        if (reason := obstacle(scheme, format)) is not None
    ]


def _ways_out(schemes: dict[Format, Scheme]) -> str:
    """Say how to leave out what cannot hold its scheme, or how to give it one that it can."""
    each = ", ".join(
        f'{format} = "{scheme if obstacle(scheme, format) is None else _NEAREST[scheme]}"'
        for format, scheme in schemes.items()
    )
    good = [format for format, scheme in schemes.items() if obstacle(scheme, format) is None]
    narrow = "".join(f'write the .{format} alone, formats = ["{format}"] or --format {format}; or ' for format in good)
    return f"In the project file, {narrow}choose for each format: scheme = {{ {each} }} in [quantize]."


def calibrated(scheme: Scheme, samples: int) -> str:
    """Say what calibration did for a scheme."""
    match scheme:
        case Scheme.FLOAT:
            return "nothing: the model stays float"
        case Scheme.INT8 | Scheme.INT8_MIXED | Scheme.W8A16:
            return f"calibrated on {samples} samples"
        case Scheme.INT8_DYNAMIC | Scheme.W4_DYNAMIC:
            return "activations are quantized at run time"
        case _:
            assert_never(scheme)


def narrowed(targets: Sequence[Target], formats: Sequence[Format]) -> tuple[Target, ...]:
    """Return the targets with those of their formats that are asked for; all of them if none are named.

    Raises:
        TargetError: If there is no target: nothing would be built.
        ProjectError: If a target writes none of them.
    """
    if not targets:
        raise TargetError("There is no target to build for.", hint="Name one, for instance android-arm64.")
    if not formats:
        return tuple(targets)
    found = []
    for target in targets:
        left = tuple(format for format in target.formats if format in formats)
        if not left:
            raise ProjectError(
                f"{target.name} writes {', '.join(target.formats)}, and asked for is {', '.join(formats)}: nothing.",
                hint="Name a format of the target's in `formats` (--format), or leave it out.",
            )
        found.append(target.model_copy(update={"formats": left}))
    return tuple(found)

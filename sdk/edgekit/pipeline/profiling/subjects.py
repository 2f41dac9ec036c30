"""What is timed: the artifacts of a bundle, and beside each the float model lowered in the same way."""

from typing import assert_never

from edgekit import chips, lowering
from edgekit.base.cache import Cache
from edgekit.data.samples import Samples
from edgekit.model.artifact import Artifact
from edgekit.model.program import Captured
from edgekit.pipeline.profiling.cost import Subject
from edgekit.quantization import quantize
from edgekit.spec import Format, QuantSpec, Scheme, Target


def of_artifact(artifact: Artifact) -> Subject:
    """Return an artifact of the bundle."""
    return Subject(
        name=artifact.file,
        format=artifact.format,
        precision="float32" if artifact.scheme is Scheme.FLOAT else "quantized",
        data=artifact.data,
        delegated_fraction=artifact.delegated_fraction,
    )


def float_name(format: Format) -> str:
    """Name the float model in a format."""
    return f"float32 .{format}"


def of_float(format: Format, captured: Captured, target: Target, calibration: Samples, cache: Cache | None) -> Subject:
    """Return the float model, lowered to a format.

    Raises:
        LowerError: If it cannot be lowered.
    """
    name = float_name(format)
    match format:
        case Format.ONNX:
            data, _ = lowering.export_float(captured, cache)
            return Subject(name=name, format=format, precision="float32", data=data, delegated_fraction=1.0)
        case Format.PTE | Format.AIMODEL:
            program = quantize(captured, Scheme.FLOAT, QuantSpec(), calibration)
            artifact, _ = chips.of_target(target).lower(format, target, program, cache)
            return Subject(
                name=name,
                format=format,
                precision="float32",
                data=artifact.data,
                delegated_fraction=artifact.delegated_fraction,
            )
        case _:
            assert_never(format)

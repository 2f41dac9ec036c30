"""The nouns that hold torch programs: Source -> Captured -> Quantized. Each carries the digests it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit.errors import SourceError
from edgekit.model.layout import make_contiguous
from edgekit.spec import Scheme, TensorSpec
from edgekit.spec.schema import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Source:
    """A float model in eval mode, and what goes in and out of it."""

    name: str
    model: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dimensions: Mapping[str, int]
    """Largest value of each symbolic dimension."""
    weights_sha256: str
    parameters: int
    float_bytes: int

    def __post_init__(self) -> None:
        """Lay the weights out plainly: a channels-last model is built as any other."""
        make_contiguous(self.model)


@dataclass(frozen=True, kw_only=True)
class Captured:
    """The model as an exported program with symbolic dimensions."""

    source: Source
    program: ExportedProgram
    example: tuple[Tensor, ...]
    """Inputs that the program was traced with; batch of 16 or more, see ``capture``."""
    dynamic_shapes: tuple[dict[int, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """The captured program with quantize and dequantize operations around what runs in int8."""

    captured: Captured
    scheme: Scheme
    program: ExportedProgram
    calibration_sha256: str
    weight_bytes: int
    """Bytes that the scheme stores the model's weights in; what stays float counts as float."""
    notes: tuple[str, ...] = ()
    """What a reader of the report must know: layers that the scheme cannot take, for instance."""
    float_layers: tuple[str, ...] = ()
    """Paths of the layers that the settings kept from being quantized, in the order of the graph."""


def named_outputs(name: str, result: object, outputs: tuple[TensorSpec, ...]) -> Mapping[str, Tensor]:
    """Give what a model returned its declared names: a tensor, a sequence in order, or a mapping by name.

    Args:
        name: The model's name, for messages.
        result: What ``forward`` returned.
        outputs: What is declared.

    Raises:
        SourceError: If something else was returned than declared.
    """
    wanted = [spec.name for spec in outputs]
    if isinstance(result, Mapping):
        found: dict[str, Any] = dict(result)
        if list(found) != wanted:
            strange = next((key for key in wanted if key not in found), "")
            raise SourceError(
                f"{name} returns ({', '.join(found)}), the outputs are ({', '.join(wanted)})"
                f"{did_you_mean(strange, list(found))}",
                hint="Name [[outputs]] after what the model returns, in its order.",
            )
    else:
        values = list(result) if isinstance(result, tuple | list) else [result]
        if len(values) != len(wanted):
            raise SourceError(
                f"{name} returns {len(values)} output(s), {len(wanted)} declared.", hint="Correct [[outputs]]."
            )
        found = dict(zip(wanted, values, strict=True))
    for key, value in found.items():
        if not isinstance(value, Tensor):
            raise SourceError(f"{name}: {key} is a {type(value).__name__}, no tensor.", hint="Return tensors alone.")
    return found

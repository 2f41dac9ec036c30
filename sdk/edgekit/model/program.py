"""The nouns that hold torch programs: Source -> Captured -> Quantized. Each carries the digests it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit.base.memory import Memory
from edgekit.errors import SourceError
from edgekit.model.layout import make_contiguous
from edgekit.model.outputs import flattened, identifiers
from edgekit.spec import Audio, Dimension, Preprocessing, Scheme, TensorSpec
from edgekit.spec.schema import did_you_mean
from edgekit.spec.tensors import fixed_batch


@dataclass(frozen=True, kw_only=True)
class Source:
    """A float model in eval mode, and what goes in and out of it."""

    name: str
    model: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dimensions: Mapping[str, Dimension]
    """The sizes of each symbolic dimension; those with one size stand in the shapes as numbers."""
    weights_sha256: str
    parameters: int
    float_bytes: int
    labels: tuple[str, ...] = ()
    """Names of the classes."""
    preprocessing: Preprocessing | None = None
    """How a picture becomes the input that means an image."""
    audio: Audio | None = None
    """How a sound becomes the input, with its length."""
    unbatched: tuple[str, ...] = ()
    """The names of inputs that the model's own ``forward`` takes without their batch of one."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was changed of the caller's module, for a reader of the report."""
    stated_accuracy: float | None = field(default=None, compare=False)
    """The share of right answers that the checkpoint says it has, from 0 to 1."""

    def __post_init__(self) -> None:
        """Lay the weights out plainly: a channels-last model is built as any other."""
        make_contiguous(self.model)

    @property
    def batch(self) -> int | None:
        """The number of samples that every call takes; None: any number up to `most`."""
        return fixed_batch(self.inputs)

    @property
    def most(self) -> int:
        """The largest number of samples that a call takes."""
        first = self.inputs[0].shape[0]
        return first if isinstance(first, int) else self.dimensions[first].max


@dataclass(frozen=True, kw_only=True)
class Captured:
    """The model as an exported program with symbolic dimensions."""

    source: Source
    program: ExportedProgram
    example: tuple[Tensor, ...]
    """Inputs that the program was traced with; batch of 16 or more, see ``capture``."""
    dynamic_shapes: tuple[dict[int, Any], ...]
    rows: int
    """Samples that torch runs of the program take at once. Where the source takes a fixed number of them, the program
    may still take any: artifacts are lowered with the number fixed."""
    memory: Memory = field(default_factory=Memory)
    """What runs and walks of the program may take."""

    @property
    def any_batch(self) -> bool:
        """Whether the program takes any number of samples."""
        return 0 in self.dynamic_shapes[0]


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
    seen_db: Mapping[str, float] = field(default_factory=dict)
    """SQNR in dB of outputs, the median of samples that the ranges were chosen by."""
    float_layers: tuple[str, ...] = ()
    """Paths of the layers that the settings kept from being quantized, in the order of the graph."""


def named_outputs(name: str, result: object, outputs: tuple[TensorSpec, ...]) -> Mapping[str, Tensor]:
    """Give what a model returned its declared names: a tensor, a sequence in order, or a mapping by name.

    Args:
        name: The model's name, for messages.
        result: What ``forward`` returned; containers in containers are taken apart, None is left out.
        outputs: What is declared.

    Raises:
        SourceError: If something else was returned than declared.
    """
    wanted = [spec.name for spec in outputs]
    found = flattened(name, result)
    labels = identifiers((label for label, _ in found), ())
    if isinstance(result, Mapping):
        # A name that an input has is told from it by its end.
        pairs = zip(wanted, labels, strict=False)
        if len(labels) != len(wanted) or any(one not in (own, f"{own}_out") for one, own in pairs):
            strange = next((key for key in wanted if key not in labels), "")
            raise SourceError(
                f"{name} returns ({', '.join(labels)}), the outputs are ({', '.join(wanted)})"
                f"{did_you_mean(strange, labels)}",
                hint="Name [[outputs]] after what the model returns, in its order.",
            )
    elif len(found) != len(wanted):
        raise SourceError(
            f"{name} returns {len(found)} output(s), {len(wanted)} declared.", hint="Correct [[outputs]]."
        )
    return {key: tensor for key, (_, tensor) in zip(wanted, found, strict=True)}

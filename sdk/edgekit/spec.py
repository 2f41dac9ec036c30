"""What a person asks for, as immutable values: tensors, preprocessing, quantization, budget and target.

Every model here can stand in a TOML file. Unknown keys and wrong types are refused by pydantic, see ``schema``. The
budget and the base of all have modules of their own; their names can be had from here.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from edgekit.budget import DEFAULT_BUDGET as DEFAULT_BUDGET
from edgekit.budget import Bootstrap as Bootstrap
from edgekit.budget import Budget as Budget
from edgekit.budget import CustomLimit as CustomLimit
from edgekit.budget import LegBudgets as LegBudgets
from edgekit.budget import Limits as Limits
from edgekit.budget import Preset as Preset
from edgekit.values import Identifier as Identifier
from edgekit.values import Name as Name
from edgekit.values import Positive as Positive
from edgekit.values import Share as Share
from edgekit.values import Spec as Spec

Meaning = Literal["tensor", "image", "logits", "segmentation", "boxes", "scores", "classes", "embedding", "regression"]
DType = Literal["float32", "float16", "int64", "int32", "uint8", "int8", "bool"]


class Format(StrEnum):
    """The artifact formats; each has a module in ``lower`` and one in ``run``."""

    PTE = "pte"
    ONNX = "onnx"


class Scheme(StrEnum):
    """Quantization schemes."""

    INT8 = "int8"
    """Static 8-bit weights (symmetric, per channel) and activations (affine, per tensor): w8a8."""
    INT8_MIXED = "int8-mixed"
    """The same, but for chosen layers that stay float."""
    INT8_DYNAMIC = "int8-dynamic"
    """Linear layers: 8-bit weights (symmetric, per channel), activations quantized when they are there."""
    W8A16 = "w8a16"
    """Static 8-bit weights (symmetric, per channel) and 16-bit activations (affine, per tensor)."""
    W4_DYNAMIC = "8da4w"
    """Linear layers: 4-bit weights (symmetric, in groups), 8-bit activations quantized when they are there."""
    FLOAT = "float"
    """Nothing is quantized."""


STATIC_INT8 = frozenset({Scheme.INT8, Scheme.INT8_MIXED})
"""Schemes with ranges from calibration and 8 bits; the second is the first with layers kept in float."""

DYNAMIC = frozenset({Scheme.INT8_DYNAMIC, Scheme.W4_DYNAMIC})
"""Schemes that take linear layers alone, and choose the ranges of activations when these are there."""

REFUSED_SCHEMES = {
    "int8-weight-only": "is refused: of linear layers whose weights alone are quantized XNNPACK computes something "
    "else, without an error, or nothing at all, depending on how they were exported; take int8-dynamic, which stores "
    "the same weights",
}


def _scheme(value: object) -> object:
    """Give a scheme's name its meaning, and say of a name that is none what there is."""
    if not isinstance(value, str) or isinstance(value, Scheme):
        return value
    if value in REFUSED_SCHEMES:
        raise ValueError(REFUSED_SCHEMES[value])
    if value not in set(Scheme):
        raise ValueError(f"must be one of {', '.join(Scheme)}")
    return Scheme(value)


class Cpu(StrEnum):
    """CPU families that artifacts are made for."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


class Platform(StrEnum):
    """Where an app that loads the artifact runs."""

    ANDROID = "android"
    IOS = "ios"
    LINUX = "linux"


class TensorSpec(Spec):
    """A named input or output."""

    name: Identifier
    """The name of the tensor; for an input, the name of the parameter of ``forward``."""
    dtype: DType = "float32"
    """The element type."""
    shape: tuple[Positive | Identifier, ...]
    """Sizes; a name stands for a symbolic dimension, for instance ``["batch", 1, 32, 32]``."""
    meaning: Meaning = "tensor"
    """What the numbers are. ``image`` marks the input that pictures go to; all others add metrics to an output:
    ``logits`` those of a classifier, ``segmentation`` of (samples, classes, height, width) scores, ``boxes`` with
    ``scores`` and ``classes`` those of a detector, ``embedding`` and ``regression`` theirs; see docs/drift.md."""


Postprocessing = tuple[Literal["softmax", "top_k"], ...]


def postprocessing(outputs: tuple[TensorSpec, ...]) -> Postprocessing:
    """Return the steps from the outputs to what a person reads: those of a classifier, if there are logits."""
    return ("softmax", "top_k") if any(spec.meaning == "logits" for spec in outputs) else ()


class Resize(Spec):
    """Resample a picture with an antialiased filter (Pillow's)."""

    height: Positive
    """Height in pixels."""
    width: Positive
    """Width in pixels."""
    mode: Literal["stretch", "cover"] = "stretch"
    """``stretch`` ignores the aspect ratio; ``cover`` keeps it and crops the centre of what overhangs."""
    filter: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    """The resampling filter."""


class Preprocessing(Spec):
    """How a picture becomes an input tensor, as data that apps follow step by step.

    The steps, in this order: turn as EXIF says; lay transparent pixels over ``background``; convert to ``color``;
    resize; multiply by ``scale``; subtract ``mean``; divide by ``std``; arrange as ``layout``. All arithmetic after
    the resize is float32.
    """

    color: Literal["grey", "rgb", "bgr"] = "rgb"
    """Colour order. Grey is ITU-R 601-2 luma as Pillow rounds it."""
    background: Annotated[int, Field(ge=0, le=255)] = 0
    """The grey level behind transparent pixels."""
    resize: Resize
    """The size that the model takes."""
    scale: float = 1 / 255
    """Factor applied to the 0..255 pixel values."""
    mean: tuple[float, ...] = (0.0,)
    """Per channel mean, or one for all, after scaling."""
    std: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    """Per channel standard deviation, or one for all, after scaling."""
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the axes."""

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return 1 if self.color == "grey" else 3

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{key} has {len(values)} values for {self.channels} channel(s)")
        return self


class Ranges(StrEnum):
    """How ranges are chosen."""

    MSE = "mse"
    """Least squared error, measured behind the function that reads the values."""
    PERCENTILE = "percentile"
    """All but one value in ten thousand at either end."""
    MINMAX = "minmax"
    """All values."""


class OutermostLayer(StrEnum):
    """Whether the first or the last layer is quantized."""

    AUTO = "auto"
    """It stays float where it has at most 4% of the weights and takes at most 5% of the multiplications."""
    INT8 = "int8"
    """It is quantized, and so are the model's inputs or outputs."""
    FLOAT = "float"
    """It stays float."""


class FormatSchemes(Spec):
    """A scheme for each format."""

    pte: Annotated[Scheme | None, BeforeValidator(_scheme)] = None
    """The scheme of the .pte; the target's own unless given."""
    onnx: Annotated[Scheme | None, BeforeValidator(_scheme)] = None
    """The scheme of the .onnx; the target's own unless given."""


# Told apart by hand: pydantic would try both, and complain of both.
_OneOrEach = Annotated[
    Annotated[Scheme, Tag("one")] | Annotated[FormatSchemes, Tag("each")],
    Discriminator(lambda value: "each" if isinstance(value, dict | FormatSchemes) else "one"),
]


class Fallback(StrEnum):
    """What happens to a model that int8 takes over its drift budget."""

    NONE = "none"
    """It fails."""
    AUTO = "auto"
    """The layers that cost most stay float, as few and as small ones as the budget asks for."""


class QuantSpec(Spec):
    """How the captured program is quantized."""

    scheme: Annotated[_OneOrEach | None, BeforeValidator(_scheme)] = None
    """The scheme, ``"int8"`` for instance, or one for each format: ``{ pte = "8da4w", onnx = "int8-dynamic" }``; the
    target's own unless given."""
    calibration_batch: Positive = 64
    """Samples per calibration call: as large as memory allows."""
    ranges: Ranges = Ranges.MSE
    """How the ranges of activations and weights are chosen."""
    adaptive_rounding: bool = True
    """Round weights by what they do to the layer's output (GPTQ), not each to the nearest step."""
    group_size: Annotated[int, Field(gt=0, multiple_of=32)] = 32
    """Weights that share a scale in the scheme 8da4w, a multiple of 32. A layer whose inputs it does not divide stays
    float."""
    bias_correction: bool = True
    """Let biases take up the mean error of their layer's outputs."""
    equalization: bool = True
    """Scale channels between layers so that each uses the steps of its tensor's scale (cross-layer equalisation)."""
    smooth_quant: bool = True
    """Scale channels between a layer norm and the linear layers behind it in the same way (SmoothQuant)."""
    first_layer: OutermostLayer = OutermostLayer.AUTO
    """Whether the layer that reads the input is quantized."""
    last_layer: OutermostLayer = OutermostLayer.AUTO
    """Whether the layer that gives the output is quantized."""
    float_layers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Layers that stay float: paths of modules, each for all below it, or patterns such as ``features.*.se``."""
    fallback: Fallback = Fallback.NONE
    """``auto`` keeps layers in float while drift is over the budget, those that cost most, and says which."""
    fallback_limit: Share = 0.1
    """Share of the weights' bytes that ``float_layers`` and ``fallback`` together may keep in float."""

    @model_validator(mode="after")
    def _mixed_of_what(self) -> Self:
        each = self.scheme
        asked = (each.pte, each.onnx) if isinstance(each, FormatSchemes) else (each,)
        if Scheme.INT8_MIXED in asked and not self.says_what_stays_float:
            raise ValueError('scheme "int8-mixed" needs float_layers = [...], or fallback = "auto" to choose them')
        return self

    @property
    def says_what_stays_float(self) -> bool:
        """Whether layers that stay float are named, or to be found."""
        return bool(self.float_layers) or self.fallback is not Fallback.NONE


class PteSettings(Spec):
    """How a .pte is lowered."""

    delegate: Literal["xnnpack"] = "xnnpack"
    """The backend that takes the graph."""


class OnnxSettings(Spec):
    """How an .onnx is written."""

    activations: Literal["uint8", "int8"] = "uint8"
    """Type of quantized activations; ONNX Runtime fuses more with uint8."""
    weights: Literal["uint8", "int8"] = "int8"
    """Type of quantized weights; the stored values are shifted, what they stand for is the same."""


class SizeLimit(Spec):
    """How large one artifact may be.

    ``4 * max_share * bytes of the weights as the scheme stores them + overhead_bytes``: with 8-bit weights that is
    ``max_share`` of the float weights.
    """

    max_share: float
    """Share of the float weights' bytes that an artifact may have whose weights take 8 bits each; it follows the bits
    that they take in another scheme: four times as much for float."""
    overhead_bytes: int
    """Allowance for the graph itself, in bytes."""


class Target(Spec):
    """A target profile, ``targets/NAME.toml``: what to write for which device, and what is demanded of it."""

    name: Name
    """The name; also the name of the file."""
    summary: str
    """One line for ``edgekit targets list``."""
    platform: Platform
    """Where the app runs."""
    cpu: Cpu
    """CPU family of the device."""
    formats: Annotated[tuple[Format, ...], Field(min_length=1)]
    """Artifacts to write."""
    quantization: Annotated[Scheme, BeforeValidator(_scheme)]
    """Scheme to use unless the project asks for another."""
    pte: PteSettings = PteSettings()
    """Settings of the .pte."""
    onnx: OnnxSettings = OnnxSettings()
    """Settings of the .onnx."""
    size: SizeLimit
    """Largest allowed artifact."""
    runtimes: dict[str, str] = Field(default_factory=dict)
    """Versions that an app pins, by package coordinate; those that EdgeKit keeps for the platform unless given."""
    budget: Budget = Budget()
    """Default drift limits; the project's own are put over them."""

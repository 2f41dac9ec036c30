"""Quantization: the schemes, and how a captured program is quantized."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from edgekit.base.values import Positive, Share, Spec


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


def scheme_of(value: object) -> object:
    """Give a scheme's name its meaning, and say of a name that is none what there is."""
    if not isinstance(value, str) or isinstance(value, Scheme):
        return value
    if value in REFUSED_SCHEMES:
        raise ValueError(REFUSED_SCHEMES[value])
    if value not in set(Scheme):
        raise ValueError(f"must be one of {', '.join(Scheme)}")
    return Scheme(value)


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


class Embeddings(StrEnum):
    """How tables of embeddings are stored."""

    INT8 = "int8"
    """8 bits, with a scale for each row."""
    INT4 = "int4"
    """4 bits, with a scale for each group of values along a row; 8 bits where groups do not divide the rows."""
    FLOAT = "float"
    """As they are."""


class FormatSchemes(Spec):
    """A scheme for each format."""

    pte: Annotated[Scheme | None, BeforeValidator(scheme_of)] = None
    """The scheme of the .pte; the target's own unless given."""
    onnx: Annotated[Scheme | None, BeforeValidator(scheme_of)] = None
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


# By its value as well, as a project file has it.
_Named = Field(strict=False)


class QuantSpec(Spec):
    """How the captured program is quantized."""

    scheme: Annotated[_OneOrEach | None, BeforeValidator(scheme_of)] = None
    """The scheme, ``"int8"`` for instance, or one for each format: ``{ pte = "8da4w", onnx = "int8-dynamic" }``; the
    target's own unless given."""
    calibration_batch: Positive = 64
    """Samples per calibration call at most; activations that are large, see `[build] memory`, make them fewer."""
    ranges: Annotated[Ranges, _Named] = Ranges.MSE
    """How the ranges of activations and weights are chosen."""
    adaptive_rounding: bool = True
    """Round weights by what they do to the layer's output (GPTQ), not each to the nearest step."""
    group_size: Annotated[int, Field(gt=0, multiple_of=32)] = 32
    """Weights that share a scale in the scheme 8da4w, a multiple of 32. A layer whose inputs it does not divide stays
    float. Also of tables of embeddings with 4 bits."""
    embeddings: Annotated[Embeddings, _Named] = Embeddings.INT8
    """How tables of embeddings are stored in every scheme but float; one with at most 1% of the weights stays float."""
    bias_correction: bool = True
    """Let biases take up the mean error of their layer's outputs."""
    equalization: bool = True
    """Scale channels between layers so that each uses the steps of its tensor's scale (cross-layer equalisation)."""
    smooth_quant: bool = True
    """Scale channels between a layer norm and the linear layers behind it in the same way (SmoothQuant)."""
    first_layer: Annotated[OutermostLayer, _Named] = OutermostLayer.AUTO
    """Whether the layer that reads the input is quantized."""
    last_layer: Annotated[OutermostLayer, _Named] = OutermostLayer.AUTO
    """Whether the layer that gives the output is quantized."""
    float_layers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Layers that stay float: paths of modules, each for all below it, or patterns such as ``features.*.se``."""
    fallback: Annotated[Fallback, _Named] = Fallback.NONE
    """``auto`` keeps layers in float while drift is over the budget, those that cost most, and says which."""
    fallback_limit: Share = 0.1
    """Share of the weights' bytes that ``float_layers`` and ``fallback`` together may keep in float."""
    trained: Annotated[str, Field(min_length=1)] | None = None
    """Folder that `edgekit finetune` wrote: its weights and ranges are taken as they are, and no other step is taken.
    The scheme and ``float_layers`` must be those that it was trained with."""

    @model_validator(mode="after")
    def _as_trained(self) -> Self:
        if self.trained is not None and self.fallback is not Fallback.NONE:
            raise ValueError("what was trained is built as it is: leave fallback out, or trained")
        return self

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


STEPS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "equalization": {"equalization": False},
        "smooth_quant": {"smooth_quant": False},
        "adaptive_rounding": {"adaptive_rounding": False},
        "bias_correction": {"bias_correction": False},
        "ranges": {"ranges": Ranges.MINMAX},
    }
)
"""The steps of the quantizer that may be left out, each with the settings that leave it out."""

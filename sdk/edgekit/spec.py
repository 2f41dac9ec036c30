"""What a person asks for, as immutable values: tensors, preprocessing, quantization, budget and target.

Every model here can stand in a TOML file. Unknown keys and wrong types are refused by pydantic, see ``schema``.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self, assert_never

from pydantic import BaseModel, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]

Meaning = Literal["tensor", "image", "logits", "segmentation", "boxes", "scores", "classes", "embedding", "regression"]
DType = Literal["float32", "float16", "int64", "int32", "uint8", "int8", "bool"]


class Spec(BaseModel):
    """Base of everything read from or written to a file: immutable, strict, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Format(StrEnum):
    """The artifact formats; each has a module in ``lower`` and one in ``run``."""

    PTE = "pte"
    ONNX = "onnx"


class Scheme(StrEnum):
    """Quantization schemes."""

    INT8 = "int8"
    """Static 8-bit weights (symmetric, per channel) and activations (affine, per tensor): w8a8."""


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


class QuantSpec(Spec):
    """How the captured program is quantized."""

    scheme: Scheme | None = None
    """The scheme; the target's own unless given."""
    calibration_batch: Positive = 64
    """Samples per calibration call: as large as memory allows."""
    ranges: Ranges = Ranges.MSE
    """How the ranges of activations and weights are chosen."""
    adaptive_rounding: bool = False
    """Round weights by what they do to the layer's output (GPTQ), not each to the nearest step. Helps where weights
    lose most; with 8-bit weights per channel that is rare."""
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


class CustomLimit(Spec):
    """A limit for a number that the project's own metric returns."""

    min: float | None = None
    """Least value: larger is better."""
    max: float | None = None
    """Largest value: smaller is better."""

    @model_validator(mode="after")
    def _one_end_at_least(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min (larger is better) or max (smaller is better)")
        return self


class Limits(Spec):
    """Limits for the metrics of one leg; a limit that is not given is not checked."""

    min_sqnr_db: float | None = None
    """Least signal to quantization noise ratio, in dB."""
    max_abs_error: float | None = None
    """Largest absolute error of any element."""
    max_mean_abs_error: float | None = None
    """Largest mean absolute error."""
    min_cosine: float | None = None
    """Least mean cosine similarity."""
    min_top1_agreement: Share | None = None
    """Least share of samples whose first class is the reference's."""
    min_top5_agreement: Share | None = None
    """Least mean overlap of the first five classes with the reference's."""
    max_kl_divergence: float | None = None
    """Largest mean Kullback-Leibler divergence, in nats."""
    max_accuracy_drop: float | None = None
    """Largest loss of accuracy against the reference, as a share (0.005 is half a point)."""
    min_accuracy_ratio: float | None = None
    """Least accuracy as a share of the reference's; MLPerf Mobile asks 0.98 of image classifiers."""
    min_pixel_agreement: Share | None = None
    """Least share of pixels whose class is the reference's."""
    min_iou_agreement: Share | None = None
    """Least mean intersection over union with the reference's classes."""
    max_mean_iou_drop: float | None = None
    """Largest loss of mean intersection over union against the reference."""
    min_mean_iou_ratio: float | None = None
    """Least mean intersection over union as a share of the reference's; MLPerf Mobile asks 0.96."""
    min_map_agreement: Share | None = None
    """Least mean average precision with the reference's detections in place of true boxes."""
    max_mean_ap_drop: float | None = None
    """Largest loss of mean average precision against the reference."""
    min_mean_ap_ratio: float | None = None
    """Least mean average precision as a share of the reference's; MLPerf Mobile asks 0.95."""
    min_neighbour_agreement: Share | None = None
    """Least mean share of the ten nearest neighbours that are the reference's too."""
    min_r2_agreement: float | None = None
    """Least R2 with the reference's outputs in place of true values."""
    max_r2_drop: float | None = None
    """Largest loss of R2 against the reference."""
    min_r2_ratio: float | None = None
    """Least R2 as a share of the reference's."""
    max_mae_ratio: float | None = None
    """Largest mean absolute error from the true values as a multiple of the reference's."""
    custom: dict[Identifier, CustomLimit] = Field(default_factory=dict)
    """Limits for what the project's own metric returns, by name: ``psnr = { min = 30 }``."""

    def updated(self, other: "Limits") -> "Limits":
        """Return these limits with those given in ``other`` put over them."""
        given = other.model_dump(exclude_none=True, exclude={"custom"})
        return self.model_copy(update={**given, "custom": {**self.custom, **other.custom}})


class Preset(StrEnum):
    """Named limits by task, all in total."""

    CLASSIFICATION = "classification"
    """98% of the float accuracy (MLPerf Mobile)."""
    SEGMENTATION = "segmentation"
    """96% of the float mean intersection over union (MLPerf Mobile)."""
    DETECTION = "detection"
    """95% of the float mean average precision (MLPerf Mobile)."""
    EMBEDDING = "embedding"
    """93% of the ten nearest neighbours, and a mean cosine of 0.98; needs no true values."""
    REGRESSION = "regression"
    """R2 of at least 0.98 with the reference's outputs as true values; needs none."""


def limits_of(preset: Preset) -> Limits:
    """Return the limits in total that a preset stands for."""
    match preset:
        case Preset.CLASSIFICATION:
            return Limits(min_accuracy_ratio=0.98)
        case Preset.SEGMENTATION:
            return Limits(min_mean_iou_ratio=0.96)
        case Preset.DETECTION:
            return Limits(min_mean_ap_ratio=0.95)
        case Preset.EMBEDDING:
            return Limits(min_cosine=0.98, min_neighbour_agreement=0.93)
        case Preset.REGRESSION:
            return Limits(min_r2_agreement=0.98)
        case _:
            assert_never(preset)


class Bootstrap(Spec):
    """How confidence intervals are made: a percentile bootstrap over the evaluation samples, always from one seed."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Confidence level, two-sided."""
    resamples: Annotated[int, Field(ge=100)] = 1000
    """How often the evaluation set is drawn anew."""


class Budget(Spec):
    """Limits per leg and in total."""

    preset: Preset | None = None
    """Limits in total by task; those given under ``[budget.total]`` go before them."""
    bootstrap: Bootstrap = Bootstrap()
    """How sure a limit must be broken before it counts as broken."""
    server: Limits = Limits()
    """Server float against host float."""
    quantization: Limits = Limits()
    """Host float against the quantized program."""
    lowering: Limits = Limits()
    """The quantized program against the artifact in its runtime."""
    total: Limits = Limits()
    """Server float against the artifact in its runtime."""

    @property
    def legs(self) -> dict[str, Limits]:
        """The limits by leg, as they are written; the preset is not among them."""
        return {"server": self.server, "quantization": self.quantization, "lowering": self.lowering,
                "total": self.total}  # fmt: skip

    @property
    def resolved(self) -> "Budget":
        """This budget with its preset's limits written out."""
        if self.preset is None:
            return self
        return self.model_copy(update={"total": limits_of(self.preset).updated(self.total)})

    def updated(self, other: "Budget") -> "Budget":
        """Return this budget with what is given in ``other``, its preset included, put over it."""
        given = other.resolved
        return Budget(
            preset=other.preset or self.preset,
            bootstrap=other.bootstrap if "bootstrap" in other.model_fields_set else self.bootstrap,
            **{leg: limits.updated(given.legs[leg]) for leg, limits in self.resolved.legs.items()},
        )


# For what is compared without a target. 60 dB is float rounding; 98% is what MLPerf Mobile asks of image classifiers.
DEFAULT_BUDGET = Budget(
    server=Limits(min_sqnr_db=60),
    quantization=Limits(min_sqnr_db=20),
    lowering=Limits(min_sqnr_db=25),
    total=Limits(min_top1_agreement=0.98, min_accuracy_ratio=0.98),
)


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
    """How large one artifact may be: ``max_share * bytes of the float weights + overhead_bytes``."""

    max_share: float
    """Share of the float weights' bytes."""
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
    quantization: Scheme
    """Scheme to use unless the project asks for another."""
    pte: PteSettings = PteSettings()
    """Settings of the .pte."""
    onnx: OnnxSettings = OnnxSettings()
    """Settings of the .onnx."""
    runtimes: dict[str, str]
    """Versions that an app pins, by package coordinate."""
    size: SizeLimit
    """Largest allowed artifact."""
    budget: Budget = Budget()
    """Default drift limits; the project's own are put over them."""

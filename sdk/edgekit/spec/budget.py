"""What drift is allowed: limits by leg and by output, presets by task, and how sure a break must be."""

from enum import StrEnum
from typing import Annotated, Self, assert_never

from pydantic import Field, model_validator

from edgekit.base.values import Identifier, Share, Spec


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
    min_agreement: Share | None = None
    """Least share of elements that are equal, of an output of integers or truth values."""
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
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """How often the evaluation set is drawn anew; more than 100,000 draws change no interval, and take minutes."""


class LegBudgets(Spec):
    """Limits per leg and in total."""

    server: Limits = Limits()
    """Server float against host float."""
    quantization: Limits = Limits()
    """Host float against the quantized program."""
    lowering: Limits = Limits()
    """The quantized program against the artifact in its runtime."""
    total: Limits = Limits()
    """Server float against the artifact in its runtime."""
    device: Limits = Limits()
    """The artifact on the build host against the same artifact on a device, on the golden inputs."""

    @property
    def legs(self) -> dict[str, Limits]:
        """The limits by leg, as they are written."""
        return {"server": self.server, "quantization": self.quantization, "lowering": self.lowering,
                "total": self.total, "device": self.device}  # fmt: skip

    def over(self, below: "LegBudgets") -> "LegBudgets":
        """Return these limits put over those below."""
        return LegBudgets(**{leg: limits.updated(self.legs[leg]) for leg, limits in below.legs.items()})


class Budget(LegBudgets):
    """Limits per leg and in total, for all outputs and for single ones."""

    preset: Preset | None = None
    """Limits in total by task; those given under ``[budget.total]`` go before them."""
    bootstrap: Bootstrap = Bootstrap()
    """How sure a limit must be broken before it counts as broken."""
    outputs: dict[Identifier, LegBudgets] = Field(default_factory=dict)
    """Limits of single outputs, by name: ``[budget.outputs.NAME.total]``; they go before those for all outputs."""

    @property
    def resolved(self) -> "Budget":
        """This budget with its preset's limits written out."""
        if self.preset is None:
            return self
        return self.model_copy(update={"total": limits_of(self.preset).updated(self.total)})

    def by_output(self, leg: str) -> dict[str, Limits]:
        """Return the limits of one leg for each output that has its own, those for all outputs included."""
        return {name: self.legs[leg].updated(own.legs[leg]) for name, own in self.outputs.items()}

    def updated(self, other: "Budget") -> "Budget":
        """Return this budget with what is given in ``other``, its preset included, put over it."""
        names = self.outputs | other.outputs
        none = LegBudgets()
        return Budget(
            preset=other.preset or self.preset,
            bootstrap=other.bootstrap if "bootstrap" in other.model_fields_set else self.bootstrap,
            outputs={name: other.outputs.get(name, none).over(self.outputs.get(name, none)) for name in names},
            **other.resolved.over(self.resolved).legs,
        )


# For what is compared without a target. 60 dB is float rounding; 98% is what MLPerf Mobile asks of image classifiers,
# and what is asked of other integers; a device departs from the host for the same reason as an artifact from its
# program, roundings of single steps.
DEFAULT_BUDGET = Budget(
    server=Limits(min_sqnr_db=60),
    quantization=Limits(min_sqnr_db=20),
    lowering=Limits(min_sqnr_db=25),
    total=Limits(min_agreement=0.98, min_top1_agreement=0.98, min_accuracy_ratio=0.98),
    device=Limits(min_sqnr_db=25),
)

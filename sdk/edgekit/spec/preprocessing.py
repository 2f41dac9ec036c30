"""Preprocessing: how a picture becomes an input tensor, as data that apps follow."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgekit.base.values import Positive, Spec


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

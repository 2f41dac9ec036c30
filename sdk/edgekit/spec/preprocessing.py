"""Preprocessing: how a picture becomes an input tensor, as data that apps follow."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgekit.base.values import Positive, Spec

# An input of more pixels is no input of a model for phones; what a picture is resized to on the way may not be much
# more.
_MOST_PIXELS = 2**25
_MOST_OVERHANG = 8


class Resize(Spec):
    """Bring a picture to the size that the model takes."""

    height: Positive
    """Height in pixels."""
    width: Positive
    """Width in pixels."""
    mode: Literal["stretch", "cover", "shorter", "letterbox"] = "stretch"
    """``stretch`` ignores the aspect ratio. ``cover`` keeps it: the centre of the wanted aspect is cut out and resized.
    ``shorter`` brings the shorter side to ``shorter`` and cuts out the centre, as torchvision's ``Resize(256)`` and
    ``CenterCrop(224)`` do. ``letterbox`` resizes the whole picture until it fits and fills what is left at both sides
    with ``pad``, as YOLO does."""
    shorter: Positive | None = None
    """For ``shorter``: the length of the shorter side before the centre is cut out."""
    pad: Annotated[int, Field(ge=0, le=255)] = 0
    """The grey level around a picture that is smaller than the input; YOLO's is 114."""
    filter: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    """The resampling filter."""
    antialias: bool = True
    """Whether the filter widens where a picture is made smaller, as Pillow's and torchvision's do; OpenCV's, and
    torch's unless asked to, do not. ``nearest`` has none to begin with."""

    @model_validator(mode="after")
    def _sizes_are_possible(self) -> Self:
        if (self.mode == "shorter") != (self.shorter is not None):
            raise ValueError('shorter stands beside mode = "shorter", and nowhere else')
        if self.height * self.width > _MOST_PIXELS:
            raise ValueError(
                f"{self.height} x {self.width} are more than the {_MOST_PIXELS} pixels that an input may have"
            )
        if self.shorter is not None and self.shorter > _MOST_OVERHANG * max(self.height, self.width):
            raise ValueError(f"shorter is over {_MOST_OVERHANG} times the size of the input, which is all that is kept")
        return self


class Preprocessing(Spec):
    """How a picture becomes an input tensor, as data that apps follow step by step.

    The steps, in this order: turn as EXIF says; lay transparent pixels over ``background``; convert to ``color``;
    resize; multiply by ``scale``; subtract ``mean``; divide by ``std``; arrange as ``layout``. All arithmetic after
    the resize is float32; with ``in_graph`` it is part of the model, and what apps hand over are bytes.
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
    """Order of the axes of the input. With ``in_graph`` the model behind it takes NCHW in any case."""
    in_graph: bool = False
    """Whether ``scale``, ``mean`` and ``std`` are the first steps of the model itself, so that it takes uint8: apps
    hand over the bytes of a camera. The Python function that makes the model returns it without them."""

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return 1 if self.color == "grey" else 3

    @property
    def dtype(self) -> Literal["uint8", "float32"]:
        """The type of the input."""
        return "uint8" if self.in_graph else "float32"

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{key} has {len(values)} values for {self.channels} channel(s)")
        return self

"""From a picture to an input tensor, exactly: apps on other platforms follow these steps to the bit.

1. **Turn** as the EXIF orientation says.
2. **To RGB.** 16-bit grey is shifted right by 8. Grey is repeated three times, a palette is looked up; of CMYK each
   channel is ``n - div255(c * n)`` with ``n = 255 - k``. Colour profiles are ignored. A transparent pixel of value
   ``s`` and alpha ``a`` over the background ``g`` becomes ``over(s, a, g)``, in integers::

       div255(v) = (((v + 128) >> 8) + v + 128) >> 8
       over(s, a, g): t = (s * a + g * (255 - a) + 128) << 7; return (((t >> 8) + t) >> 8) >> 7

3. **To grey**, if so asked: ``(19595 * r + 38470 * g + 7471 * b + 32768) >> 16``.
4. **Crop**, for ``cover``, to the largest centred box with the aspect of ``width x height``, see `crop_box`. The box is
   cut out before the resize, so what lies outside has no influence.
5. **Resize** unless the size is right already. All in double precision, with ``scale = size / wanted``: ``nearest``
   takes pixel ``trunc(p)``, where ``p`` starts at ``scale / 2`` and grows by ``scale``, added up from pixel to pixel.
   The other filters change the width, round to bytes, then change the height; a pass that would not change the size
   is left out. With ``stretch = max(scale, 1)`` and ``reach = stretch * (1 for bilinear, 2 for bicubic)``, output ``i``
   has its centre at ``c = (i + 0.5) * scale`` and takes the pixels from ``trunc(max(c - reach + 0.5, 0))`` to before
   ``trunc(min(c + reach + 0.5, size))``, pixel ``j`` with the weight ``filter((j - c + 0.5) * (1 / stretch))``. The
   weights are divided by their sum, multiplied by ``2**22`` and rounded half away from zero. A pass gives
   ``clamp((sum(weight * pixel) + 2**21) >> 22, 0, 255)``. The filters, of ``x`` without its sign::

       bilinear: max(1 - x, 0)
       bicubic:  (1.5 * x - 2.5) * x * x + 1 below 1, (((x - 5) * x + 8) * x - 4) * -0.5 below 2, else 0

6. **To float32**: times ``scale``, minus ``mean``, divided by ``std``; each of the three, and each constant, is rounded
   to float32.

Tests hold steps 2 to 5 against Pillow, which does the work here.
"""

import functools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
# Not all that Pillow knows: some start other programs. Which of these it has depends on how it was built.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_HINT = "Save the picture again as an ordinary PNG or JPEG."


def open_picture(path: Path) -> Image.Image:
    """Read and decode a picture, turned as its EXIF orientation says.

    Raises:
        DataError: If the file is missing, damaged, no picture, or so large that decoding it may exhaust the memory.
    """
    try:
        with Image.open(path, formats=_formats()) as picture:
            # Pillow warns of a picture that is suspiciously large, and refuses one of twice that size. Its warning is
            # not caught: threads read pictures, and filters of warnings belong to all of them.
            if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError(f"{picture.width} x {picture.height} pixels")
            return _upright(picture)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} is too large: {error}", hint="Scale the picture down first.") from error
    except Exception as error:  # damaged bytes end in whatever a decoder stumbles over
        raise DataError(f"{path} cannot be read as a picture: {error}", hint=_HINT) from error


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def element_type(spec: Preprocessing) -> type[np.generic]:
    """Return the type of what pictures become."""
    return np.float32


def to_array(image: Image.Image, spec: Preprocessing) -> npt.NDArray[np.float32]:
    """Turn a picture into a batch of one input, float32 of shape (1, C, H, W) or (1, H, W, C).

    Raises:
        DataError: If the picture's pixel format is not supported.
    """
    picture = _rgb(_upright(image), spec.background)
    if spec.color == "grey":
        picture = picture.convert("L")
    return normalized(np.asarray(_resized(picture, spec.resize)), spec)


def normalized(pixels: npt.NDArray[np.uint8], spec: Preprocessing) -> npt.NDArray[np.float32]:
    """Do the last steps: bytes of shape (H, W) or (H, W, 3) to a float32 batch of one."""
    channels = pixels.reshape(*pixels.shape[:2], spec.channels)
    if spec.color == "bgr":
        channels = channels[:, :, ::-1]
    x: npt.NDArray[np.float32] = channels.astype(np.float32)
    x *= np.float32(spec.scale)
    x -= np.array(spec.mean, dtype=np.float32)
    x /= np.array(spec.std, dtype=np.float32)
    return np.ascontiguousarray((x.transpose(2, 0, 1) if spec.layout == "NCHW" else x)[np.newaxis])


def denormalized(values: npt.NDArray[np.float32], spec: Preprocessing) -> npt.NDArray[np.uint8]:
    """Undo the last steps: one input of shape (C, H, W) or (H, W, C) to bytes of shape (H, W, C), RGB or grey."""
    channels = values.transpose(1, 2, 0) if spec.layout == "NCHW" else values
    pixels = (channels * np.array(spec.std) + np.array(spec.mean)) / spec.scale
    if spec.color == "bgr":
        pixels = pixels[:, :, ::-1]
    bytes_: npt.NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(bytes_)


def crop_box(width: int, height: int, resize: Resize) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of a picture that is kept; integers throughout.

    The side that overhangs is cut to the wanted aspect, rounded half up and at least one pixel; an odd remainder
    loses its extra pixel on the right or at the bottom.
    """
    if resize.mode == "stretch":
        return 0, 0, width, height
    if width * resize.height > height * resize.width:
        kept = max(1, (2 * height * resize.width + resize.height) // (2 * resize.height))
        left = (width - kept) // 2
        return left, 0, left + kept, height
    kept = max(1, (2 * width * resize.height + resize.width) // (2 * resize.width))
    top = (height - kept) // 2
    return 0, top, width, top + kept


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception as error:  # damaged EXIF ends in whatever its reader stumbles over, and may do so late
        raise DataError(f"its EXIF data cannot be read: {error}", hint=_HINT) from error


def _rgb(picture: Image.Image, background: int) -> Image.Image:
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode not in _MODES:
        raise DataError(f"Pictures of Pillow's mode {picture.mode} are not supported.", hint=_HINT)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    grey = Image.new("RGBA", picture.size, (background, background, background, 255))
    return Image.alpha_composite(grey, picture.convert("RGBA")).convert("RGB")


def _resized(picture: Image.Image, resize: Resize) -> Image.Image:
    picture, resample = picture.crop(crop_box(picture.width, picture.height, resize)), _FILTERS[resize.filter]
    # One axis at a time: given both, Pillow 13 does the rows first where that is faster, and rounds to other bytes.
    picture = picture.resize((resize.width, picture.height), resample, reducing_gap=None)
    return picture.resize((resize.width, resize.height), resample, reducing_gap=None)

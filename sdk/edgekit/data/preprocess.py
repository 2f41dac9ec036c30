"""From a picture to an input tensor, exactly: apps on other platforms follow these steps to the bit.

1. **Turn** as the EXIF orientation says.
2. **To RGB.** 16-bit grey is shifted right by 8. Grey is repeated three times, a palette is looked up; of CMYK each
   channel is ``n - div255(c * n)`` with ``n = 255 - k``. Colour profiles are ignored. A transparent pixel of value
   ``s`` and alpha ``a`` over the background ``g`` becomes ``over(s, a, g)``, in integers::

       div255(v) = (((v + 128) >> 8) + v + 128) >> 8
       over(s, a, g): t = (s * a + g * (255 - a) + 128) << 7; return (((t >> 8) + t) >> 8) >> 7

3. **To grey**, if so asked: ``(19595 * r + 38470 * g + 7471 * b + 32768) >> 16``.
4. **Place.** What of the picture is resized to which size, and where it comes to lie in the input:
   `edgekit.data.place`.
5. **Resize** that part unless its size is right already, cut off what lies outside of the input and fill what stays
   free with ``pad``: `edgekit.data.resample`.
6. **To float32**: times ``scale``, minus ``mean``, divided by ``std``; each of the three, and each constant, is rounded
   to float32. With ``in_graph`` this is left to the model.

Tests hold steps 2 to 5 against Pillow, which does the work here.
"""

import functools
import math
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from edgekit.data.place import placed
from edgekit.data.resample import resampled
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
# Not all that Pillow knows: some start other programs. Which of these it has depends on how it was built.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_HINT = "Save the picture again as an ordinary PNG or JPEG."
# No format packs a picture of such a size so tightly but one of a single colour: deflate comes to 1,032 bytes for one.
_PLENTY, _PER_BYTE = 2**24, 4096


def open_picture(path: Path) -> Image.Image:
    """Read and decode a picture, turned as its EXIF orientation says.

    Raises:
        DataError: If the file is missing, damaged, no picture, or so large that decoding it may exhaust the memory.
    """
    return decoded(path, str(path))


def decoded(source: Path | IO[bytes], name: str) -> Image.Image:
    """Decode a picture, turned as its EXIF orientation says.

    Args:
        source: The file, or its bytes.
        name: What it is, for messages.

    Raises:
        DataError: If it is missing, damaged, no picture, or so large that decoding it may exhaust the memory.
    """
    try:
        with Image.open(source, formats=_formats()) as picture:
            # Pillow warns of a picture that is suspiciously large, and refuses one of twice that size. Its warning is
            # not caught: threads read pictures, and filters of warnings belong to all of them.
            if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError(f"{picture.width} x {picture.height} pixels")
            _check_claim(picture.width * picture.height, source)
            return _upright(picture)
    except DataError as error:
        raise DataError(f"{name}: {error.message}", hint=error.hint) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name} is too large: {error}", hint="Scale the picture down first.") from error
    except Exception as error:  # damaged bytes end in whatever a decoder stumbles over
        raise DataError(f"{name} cannot be read as a picture: {error}", hint=_HINT) from error


def _check_claim(pixels: int, source: Path | IO[bytes]) -> None:
    """Refuse what claims many more pixels than its bytes hold: decoders take memory for them and fill it with zeros."""
    if isinstance(source, Path):
        size = source.stat().st_size
    else:
        place = source.tell()
        size = source.seek(0, 2)
        source.seek(place)
    if pixels > _PLENTY and pixels > _PER_BYTE * size:
        raise Image.DecompressionBombError(f"{pixels:,} pixels in {size:,} bytes")


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def element_type(spec: Preprocessing) -> type[np.generic]:
    """Return the type of what pictures become."""
    return np.uint8 if spec.in_graph else np.float32


def to_array(image: Image.Image, spec: Preprocessing) -> npt.NDArray[Any]:
    """Turn a picture into a batch of one input, float32 or uint8 of shape (1, C, H, W) or (1, H, W, C).

    Raises:
        DataError: If the picture's pixel format is not supported.
    """
    picture = _rgb(_upright(image), spec.background)
    if spec.color == "grey":
        picture = picture.convert("L")
    return normalized(np.asarray(_resized(picture, spec.resize)), spec)


def normalized(pixels: npt.NDArray[np.uint8], spec: Preprocessing) -> npt.NDArray[Any]:
    """Do the last steps: bytes of shape (H, W) or (H, W, 3) to a batch of one."""
    channels = pixels.reshape(*pixels.shape[:2], spec.channels)
    if spec.color == "bgr":
        channels = channels[:, :, ::-1]
    x: npt.NDArray[Any] = channels.astype(element_type(spec))
    if not spec.in_graph:
        x *= np.float32(spec.scale)
        x -= np.array(spec.mean, dtype=np.float32)
        x /= np.array(spec.std, dtype=np.float32)
    return np.ascontiguousarray((x.transpose(2, 0, 1) if spec.layout == "NCHW" else x)[np.newaxis])


def denormalized(values: npt.NDArray[Any], spec: Preprocessing) -> npt.NDArray[np.uint8]:
    """Undo the last steps: one input of shape (C, H, W) or (H, W, C) to bytes of shape (H, W, C), RGB or grey."""
    channels = values.transpose(1, 2, 0) if spec.layout == "NCHW" else values
    pixels = channels if spec.in_graph else (channels * np.array(spec.std) + np.array(spec.mean)) / spec.scale
    if spec.color == "bgr":
        pixels = pixels[:, :, ::-1]
    bytes_: npt.NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(bytes_)


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
    width, height = picture.size
    place = placed(width, height, resize)
    if place.width * place.height > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise DataError(
            f"A picture of {width} x {height} pixels would be resized to {place.width} x {place.height}.",
            hint="Leave out pictures that are so narrow.",
        )
    part = resampled(picture.crop(place.kept), place.width, place.height, resize)
    if (place.left, place.top, *part.size) == (0, 0, resize.width, resize.height):
        return part
    # A crop that reaches beyond the picture would be filled with black.
    input_ = Image.new(part.mode, (resize.width, resize.height), (resize.pad,) * len(part.getbands()))
    input_.paste(part, (place.left, place.top))
    return input_

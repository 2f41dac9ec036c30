"""Change the size of a picture, exactly: apps on other platforms follow this arithmetic to the bit.

All in double precision, with ``scale = size / wanted``. ``nearest`` takes pixel ``trunc(p)``, where ``p`` starts at
``scale / 2`` and grows by ``scale``, added up from pixel to pixel. The other filters change the width, round to bytes,
then change the height; a pass that would not change the size is left out. A pass gives
``clamp((sum(weight * pixel) + 2**21) >> 22, 0, 255)``, with weights multiplied by ``2**22`` and rounded half away from
zero.

With ``antialias``, as Pillow does it: with ``stretch = max(scale, 1)`` and ``reach = stretch * (1 for bilinear, 2 for
bicubic)``, output ``i`` has its centre at ``c = (i + 0.5) * scale`` and takes the pixels from ``trunc(max(c - reach +
0.5, 0))`` to before ``trunc(min(c + reach + 0.5, size))``, pixel ``j`` with the weight ``filter((j - c + 0.5) * (1 /
stretch))``. The weights are divided by their sum before they become integers.

Without: ``c = (i + 0.5) * scale - 0.5``, ``b = floor(c)`` and ``f = c - b``; output ``i`` takes the pixels ``b + k``,
with ``k`` from 0 to 1 for bilinear and from -1 to 2 for bicubic, those beyond the edge as the pixel at the edge, each
with the weight ``filter(k - f)``. OpenCV and ``torch.nn.functional.interpolate`` do so, too, but round otherwise.

The filters, of ``x`` without its sign; ``a`` is -0.5 with ``antialias`` and -0.75 without::

    bilinear: max(1 - x, 0)
    bicubic:  ((a + 2) * x - (a + 3)) * x * x + 1 below 1, (((x - 5) * x + 8) * x - 4) * a below 2, else 0

Tests hold both against Pillow and torch; Pillow does the first here.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit.spec import Resize

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_PRECISION = 22
_A = -0.75


def resampled(picture: Image.Image, width: int, height: int, resize: Resize) -> Image.Image:
    """Return a picture of bytes in another size, with a project's filter."""
    if resize.antialias or resize.filter == "nearest":
        resample = _FILTERS[resize.filter]
        # One axis at a time: given both, Pillow 13 does the rows first where that is faster, and rounds to other bytes.
        picture = picture.resize((width, picture.height), resample, reducing_gap=None)
        return picture.resize((width, height), resample, reducing_gap=None)
    pixels = np.asarray(picture)
    cubic = resize.filter == "bicubic"
    wide = _pass(pixels.swapaxes(0, 1), width, cubic).swapaxes(0, 1)
    return Image.fromarray(np.ascontiguousarray(_pass(wide, height, cubic)))


def _pass(pixels: npt.NDArray[np.uint8], wanted: int, cubic: bool) -> npt.NDArray[np.uint8]:
    """Change the size of the first axis without antialiasing."""
    size = len(pixels)
    if size == wanted:
        return pixels
    centre = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    base = np.floor(centre)
    total = np.full((wanted, *pixels.shape[1:]), 2 ** (_PRECISION - 1), dtype=np.int32)
    for tap in range(-1, 3) if cubic else range(2):
        x = np.abs(tap - (centre - base))
        fixed = _fixed(_cubic(x) if cubic else np.maximum(1 - x, 0))
        taken = pixels[np.clip(base.astype(np.int64) + tap, 0, size - 1)]
        total += taken.astype(np.int32) * fixed.reshape(-1, *[1] * (pixels.ndim - 1))
    found: npt.NDArray[np.uint8] = np.clip(total >> _PRECISION, 0, 255).astype(np.uint8)
    return found


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    near = ((_A + 2) * x - (_A + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * _A
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _fixed(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    scaled = weights * 2**_PRECISION
    whole: npt.NDArray[np.int32] = np.trunc(np.where(scaled < 0, scaled - 0.5, scaled + 0.5)).astype(np.int32)
    return whole

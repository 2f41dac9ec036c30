"""Samples from a folder with ``images`` and ``masks``: masks, a class a pixel, are true values of a dense output."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from edgekit.data.found import HINT, Found, Wanted, listed, reading
from edgekit.data.pictures import FromFiles, Pictures
from edgekit.data.place import placed
from edgekit.data.samples import Samples
from edgekit.data.truth import UNLABELLED
from edgekit.errors import DataError
from edgekit.spec import Resize

IMAGES, MASKS = "images", "masks"
_MODES = ("1", "L", "P", "I", "I;16")
_FORMATS = ("BMP", "GIF", "PNG", "TIFF")


def of_masks(path: Path, pictures: list[Path], masks: list[Path], wanted: Wanted) -> Found:
    """Return pictures and the masks of the same names.

    A mask is resized as its picture is, to the nearest pixel; what lies beside the picture is of no class.

    Args:
        path: The folder of both, for messages.
        pictures: The pictures.
        masks: The masks: grey, palette or 16-bit pictures whose values are classes; 255 is none.
        wanted: What they are read for.

    Raises:
        DataError: If one has no other, or the model gives no classes of pixels.
    """
    image, steps = wanted.image(path)
    dense = [spec for spec in wanted.outputs if spec.meaning == "segmentation"]
    if len(dense) != 1:
        raise DataError(
            f"{path} holds masks, and {len(dense)} outputs mean segmentation.",
            hint='Set meaning = "segmentation" for the output in [[outputs]], or name the folder images alone.',
        )
    by_name, names = {mask.stem: mask for mask in masks}, {picture.stem for picture in pictures}
    faults = [f"{picture.name} has no mask" for picture in pictures if picture.stem not in by_name]
    faults += [f"{mask.name} in {MASKS} has no picture" for mask in masks if mask.stem not in names]
    if faults:
        raise DataError(f"Not each picture in {path} has a mask of its name:{listed(faults)}", hint=HINT)
    own = {by_name[picture.stem]: picture for picture in pictures}
    sizes = dense[0].shape[2:]
    height, width = (
        size if isinstance(size, int) else whole
        for size, whole in zip(sizes, (steps.resize.height, steps.resize.width), strict=True)
    )

    def make(mask: Path) -> npt.NDArray[Any]:
        return _resized(_read(mask, own[mask]), steps.resize, height, width)

    target = FromFiles(list(own), (height, width), np.int64, make)
    samples = Samples(inputs={image: Pictures(pictures, steps)}, targets={dense[0].name: target})
    return Found(samples=samples, files=tuple(pictures))


def _read(mask: Path, picture: Path) -> npt.NDArray[np.int64]:
    with reading(mask), Image.open(mask, formats=_FORMATS) as opened, Image.open(picture) as beside:
        if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or np.inf):
            raise DataError(f"{mask} is too large: {opened.width} x {opened.height} pixels.", hint=HINT)
        if opened.mode not in _MODES:
            raise DataError(
                f"{mask} is of Pillow's mode {opened.mode}, no classes.", hint="Save a grey or palette picture."
            )
        stored, turned = beside.size, ImageOps.exif_transpose(beside).size
        values = np.asarray(opened).astype(np.int64)
        if opened.size == stored and beside.getexif().get(0x0112, 1) != 1:  # it lies as the picture's pixels do
            grey = Image.fromarray(values.astype(np.int32))
            grey.getexif()[0x0112] = beside.getexif()[0x0112]
            values = np.asarray(ImageOps.exif_transpose(grey)).astype(np.int64)
        elif opened.size != turned:
            raise DataError(f"{mask} has {opened.size} pixels, and {picture.name} {turned}.", hint="Make them fit.")
    return values


def _resized(values: npt.NDArray[np.int64], resize: Resize, height: int, width: int) -> npt.NDArray[np.int64]:
    """Return the class in the middle of each place of the output."""
    place = placed(values.shape[1], values.shape[0], resize)
    left, top, right, bottom = place.kept
    columns = (np.arange(width) + 0.5) * (resize.width / width) - place.left
    rows = (np.arange(height) + 0.5) * (resize.height / height) - place.top
    x = np.floor(columns * ((right - left) / place.width)).astype(np.int64) + left
    y = np.floor(rows * ((bottom - top) / place.height)).astype(np.int64) + top
    inside = ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))[None]
    taken = values[np.clip(y, 0, len(values) - 1)][:, np.clip(x, 0, values.shape[1] - 1)]
    return np.where(inside, taken, UNLABELLED)

"""Folders of pictures, cut from photographs that packages ship."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.spec.samples.packages import Package, Shipped

SKIMAGE, SKLEARN = Package("scikit-image", "skimage"), Package("scikit-learn", "sklearn")
CALIBRATION = (
    Shipped(SKIMAGE, "data/astronaut.png"),
    Shipped(SKIMAGE, "data/ihc.png"),
    Shipped(SKIMAGE, "data/motorcycle_left.png"),
    Shipped(SKIMAGE, "data/hubble_deep_field.jpg"),
    Shipped(SKIMAGE, "data/retina.jpg"),
    Shipped(SKIMAGE, "data/grass.png"),
    Shipped(SKLEARN, "datasets/images/china.jpg"),
)
EVALUATION = (
    Shipped(SKIMAGE, "data/chelsea.png"),
    Shipped(SKIMAGE, "data/coffee.png"),
    Shipped(SKIMAGE, "data/rocket.jpg"),
    Shipped(SKLEARN, "datasets/images/flower.jpg"),
)
COUNT = 64
"""Pictures in a folder."""
# A picture's side is drawn between these shares of the photograph's shorter side, and is at most so many pixels.
_LEAST, _MOST, _SIDE = 0.35, 1.0, 256


def cut(folder: Path, photographs: Sequence[Shipped], count: int = COUNT) -> None:
    """Write square parts of each photograph in turn as JPEG files, named after the photograph."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for turn, photograph in enumerate(photographs):
        path = photograph.find()
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        for number in range(len(range(turn, count, len(photographs)))):
            side = min(picture.size) * random.uniform(_LEAST, _MOST)
            left, top = (random.uniform(0, length - side) for length in picture.size)
            pixels = min(_SIDE, round(side))
            box = (left, top, left + side, top + side)
            part = picture.resize((pixels, pixels), Image.Resampling.BICUBIC, box=box)
            part.save(folder / f"{path.stem}-{number:02}.jpg", quality=95)

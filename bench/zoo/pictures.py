"""Samples from photographs: crops of some for calibration, of others for evaluation."""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.zoo.data import Part, Rows

if TYPE_CHECKING:  # not needed where samples are carried
    from PIL import Image

_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
_PHOTOGRAPHS: dict[Part, tuple[tuple[str, str], ...]] = {
    "calibration": (
        ("skimage", "astronaut.png"),
        ("skimage", "chelsea.png"),
        ("skimage", "coffee.png"),
        ("skimage", "motorcycle_left.png"),
        ("skimage", "ihc.png"),
        ("sklearn", "china.jpg"),
    ),
    "evaluation": (("sklearn", "flower.jpg"), ("skimage", "rocket.jpg")),
}
# Photographs of the two sides of a draw.
_DRAWN = 5, 2
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
# A crop's side is drawn between these shares of the photograph's shorter side.
_LEAST, _MOST = 0.35, 1.0
# From BT.601, as Pillow turns colours to grey.
_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Pictures:
    """Crops of photographs, mirrored at random, resized and normalised; NCHW, float32."""

    height: int
    width: int
    scale: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    """Means and standard deviations, of values between 0 and 1."""
    grey: bool = False
    seed: int = 0
    draw: int | None = None
    """Five photographs that calibrate and two that evaluate are drawn by this number; None: they are as they stand."""
    swapped: bool = False
    """Whether those drawn change sides."""

    def rows(self, part: Part, count: int) -> Rows:
        """Return crops of each photograph of a part in turn; of those that are installed."""
        random = np.random.default_rng((self.seed, part == "evaluation"))
        names = [path for one in self.photographs(part) if (path := _path(*one)) is not None]
        crops = np.stack([self._crop(_photograph(names[row % len(names)]), random) for row in range(count)])
        if self.grey:
            crops = crops @ np.asarray(_GREY, np.float32)[:, None]
        mean, std = (np.asarray(one, np.float32) for one in self.scale)
        return (((crops - mean) / std).transpose(0, 3, 1, 2).astype(np.float32),)

    def photographs(self, part: Part) -> tuple[tuple[str, str], ...]:
        """Return the photographs of a part, each as the package and the file in it."""
        if self.draw is None:
            return _PHOTOGRAPHS[part]
        every = [one for some in _PHOTOGRAPHS.values() for one in some]
        order = [every[place] for place in np.random.default_rng(self.draw).permutation(len(every))]
        fit, judge = order[: _DRAWN[0]], order[_DRAWN[0] : sum(_DRAWN)]
        return tuple(fit if (part == "calibration") is not self.swapped else judge)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "crops of photographs"

    def _crop(self, photograph: "Image.Image", random: np.random.Generator) -> np.ndarray:
        from PIL.Image import Resampling

        side = min(photograph.size) * random.uniform(_LEAST, _MOST)
        ratio = (self.width / self.height) ** 0.5
        wide, high = min(side * ratio, photograph.width), min(side / ratio, photograph.height)
        left, top = random.uniform(0, photograph.width - wide), random.uniform(0, photograph.height - high)
        box = (left, top, left + wide, top + high)
        crop = photograph.resize((self.width, self.height), Resampling.BILINEAR, box=box)
        values = np.asarray(crop, np.float32) / 255
        return values[:, ::-1] if random.random() < 0.5 else values


@dataclass(frozen=True)
class Patches:
    """Small grey patches with and without faces from scikit-image, enlarged; NCHW, float32 between -1 and 1."""

    side: int

    def rows(self, part: Part, count: int) -> Rows:
        """Return patches: the file has faces first, then others; even rows calibrate, odd ones evaluate."""
        from PIL import Image

        path = _path("skimage", "lfw_subset.npy")
        if path is None:
            raise FileNotFoundError("scikit-image's lfw_subset.npy is not installed")
        patches = np.load(path, allow_pickle=False)[part == "evaluation" :: 2]
        chosen = patches[np.random.default_rng(0).permutation(len(patches))[:count]]
        grown = [
            Image.fromarray((patch * 255).astype(np.uint8)).resize((self.side, self.side), Image.Resampling.BILINEAR)
            for patch in chosen
        ]
        values = (np.stack([np.asarray(one, np.float32) for one in grown]) - 127.5) / 128
        return (np.repeat(values[:, None], 3, axis=1),)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "patches with and without faces"


def _path(package: str, name: str) -> Path | None:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / _FOLDERS.get(package, "") / name
    return path if path.is_file() else None


@cache
def _photograph(path: Path) -> "Image.Image":
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")

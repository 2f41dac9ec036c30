"""Samples with text: real sentences drawn over crops of photographs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.zoo.data import Part, Rows
from bench.zoo.pictures import HALF, IMAGENET, UNIT, Pictures
from bench.zoo.texts import sentences

if TYPE_CHECKING:  # not needed where samples are carried
    from PIL import Image

_SIZES = (16, 40)
_WORDS = 4


@dataclass(frozen=True)
class Lines:
    """Lines of text over paled crops of photographs; one line alone is grey and fills the height; NCHW, float32."""

    height: int
    width: int
    lines: int = 4

    def rows(self, part: Part, count: int) -> Rows:
        """Return pictures with text."""
        random = np.random.default_rng((7, part == "evaluation"))
        (crops,) = Pictures(self.height, self.width, UNIT).rows(part, count)
        texts = sentences(part)
        drawn = [self._drawn(crop, texts[row % len(texts)], random) for row, crop in enumerate(crops)]
        single = self.lines == 1
        mean, std = (np.asarray(one, np.float32) for one in (HALF if single else IMAGENET))
        values = np.stack([np.asarray(one, np.float32) / 255 for one in drawn])
        if single:
            return (((values.mean(3) - mean[0]) / std[0])[:, None].astype(np.float32),)
        return (((values - mean) / std).transpose(0, 3, 1, 2).astype(np.float32),)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "sentences drawn over photographs"

    def _drawn(self, crop: np.ndarray, text: str, random: np.random.Generator) -> "Image.Image":
        from PIL import Image, ImageDraw, ImageFont

        paled = 255 * (0.5 + 0.5 * crop.transpose(1, 2, 0))
        picture = Image.fromarray(paled.astype(np.uint8))
        pen, words = ImageDraw.Draw(picture), text.split()
        for line in range(self.lines):
            size = int(0.6 * self.height) if self.lines == 1 else int(random.integers(*_SIZES))
            start = _WORDS * line % max(len(words), 1)
            chosen = " ".join(words[start : start + (1 if self.lines == 1 else _WORDS)])
            place = (random.uniform(2, 0.1 * self.width), (line + random.uniform(0.1, 0.3)) * self.height / self.lines)
            pen.text(
                place,
                chosen,
                fill=tuple(int(one) for one in random.integers(0, 90, 3)),
                font=ImageFont.load_default(size),
            )
        return picture

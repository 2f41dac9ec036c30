"""Networks that need nothing but torch; continuous integration builds them."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from bench.zoo.data import Part, Rows
from bench.zoo.entry import Entry
from bench.zoo.pictures import Pictures
from bench.zoo.plain import Encoder, Llama, Recurrent, UNet
from bench.zoo.seeded import seeded
from bench.zoo.texts import Hashed


@dataclass(frozen=True)
class ScanLines:
    """Grey crops of photographs read line by line; (samples, lines, columns), float32."""

    lines: int
    columns: int

    def rows(self, part: Part, count: int) -> Rows:
        """Return crops as sequences."""
        (crops,) = Pictures(self.lines, self.columns, ((0.5,), (0.25,)), grey=True).rows(part, count)
        return (crops[:, 0],)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "photographs, line by line"


def _digits(name: str, family: str) -> Entry:
    def make() -> nn.Module:
        from bench.networks import NETWORKS

        return NETWORKS[name].load()

    return Entry(
        name=f"digits-{name}", family=family, source="bench.networks, trained on scikit-learn's digits",
        make=make, data=Digits(), weights="real", task="top-1", calibration=64, evaluation=64,
        small=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Digits:
    """The packaged sample's handwritten digits, as pictures of 32 x 32."""

    def rows(self, part: Part, count: int) -> Rows:
        """Return the first digits of a part."""
        from bench.networks import NETWORKS
        from bench.networks.data import data_for

        found = data_for(NETWORKS["mobilenet-v2"], calibration=count, evaluation=count)
        samples = found.calibration if part == "calibration" else found.evaluation
        return (np.asarray(samples.inputs["image"]),)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "handwritten digits"


_ROWS = ScanLines(49, 40)
_HASHED, _STORY = Hashed(64, 4096), Hashed(64, 512, mask=False)

ENTRIES = (
    Entry(
        name="u-net", family="U-Net", source="plain torch, after Ronneberger et al. 2015",
        make=lambda: seeded(UNet, Pictures(256, 256)), data=Pictures(256, 256), weights="seeded", task="pixels",
        calibration=16, evaluation=8, small=True,
    ),
    Entry(
        name="lstm-3x160", family="LSTM", source="plain torch", data=_ROWS, weights="seeded", task="top-1", small=True,
        make=lambda: seeded(lambda: Recurrent("lstm", 40, 160, 3), _ROWS),
    ),
    Entry(
        name="gru-2x100-both-ways", family="GRU", source="plain torch", data=_ROWS, weights="seeded", task="top-1",
        make=lambda: seeded(lambda: Recurrent("gru", 40, 100, 2, both=True), _ROWS), small=True,
    ),
    Entry(
        name="small-encoder", family="DistilBERT-like", source="plain torch, after Sanh et al. 2019", data=_HASHED,
        make=lambda: seeded(Encoder, _HASHED), weights="seeded", task="cosine", small=True,
    ),
    Entry(
        name="small-llama", family="Llama", source="plain torch, after Touvron et al. 2023", data=_STORY,
        make=lambda: seeded(Llama, _STORY), weights="seeded", task="top-1", small=True,
    ),
    _digits("mobilenet-v2", "MobileNet"),
    _digits("squeezenet", "SqueezeNet"),
    _digits("vision-transformer", "ViT"),
)  # fmt: skip

"""The networks: one of each family, small enough to train within minutes, with their weights committed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors.torch import load_file
from torch import nn

from bench.networks.mobilenet_v2 import BottleneckNet
from bench.networks.signal import SignalNet
from bench.networks.squeezenet import FireNet
from bench.networks.transformer import PatchNet
from bench.networks.vgg import PlainNet
from edgekit.spec.project import SAMPLE
from edgekit.spec.samples.digits.model import DigitNet

WEIGHTS = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained."""

    epochs: int
    rate: float
    """Largest learning rate of the cycle."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, its input and where its weights lie."""

    name: str
    family: str
    make: Callable[[], nn.Module]
    input: Literal["image", "signal"] = "image"
    training: Training | None
    """None: the weights are those of the packaged sample, see scripts/train_sample.py."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (1, 32, 32) if self.input == "image" else (1, 64)

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return WEIGHTS / f"{self.name}.safetensors" if self.training else SAMPLE / "weights.safetensors"

    def load(self) -> nn.Module:
        """Return the trained network in eval mode."""
        model = self.make()
        model.load_state_dict(load_file(self.weights))
        return model.eval()


_ALL = (
    Network(
        name="plain-cnn",
        family="plain CNN with batch norm (VGG-like)",
        make=PlainNet,
        training=Training(epochs=16, rate=4e-3),
    ),
    Network(
        name="mobilenet-v2",
        family="MobileNetV2-like",
        make=BottleneckNet,
        training=Training(epochs=30, rate=8e-3),
    ),
    Network(name="mobilenet-v3", family="MobileNetV3-like, the packaged sample", make=DigitNet, training=None),
    Network(
        name="squeezenet",
        family="SqueezeNet-like: concatenations, no batch norm",
        make=FireNet,
        training=Training(epochs=40, rate=2e-3),
    ),
    Network(
        name="vision-transformer",
        family="small vision transformer",
        make=PatchNet,
        training=Training(epochs=50, rate=2e-3),
    ),
    Network(
        name="signal-cnn",
        family="1-D CNN on a signal (the pictures' rows, one after the other)",
        make=SignalNet,
        input="signal",
        training=Training(epochs=40, rate=6e-3),
    ),
)
NETWORKS: Mapping[str, Network] = {network.name: network for network in _ALL}

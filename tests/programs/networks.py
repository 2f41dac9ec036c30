"""Small networks with the traits that deployment trips over, and their data."""

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.data.samples import Samples
from edgekit.model.capture import capture
from edgekit.model.program import Quantized, Source
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.job import Job
from edgekit.quantization import quantize
from edgekit.spec import Budget, Limits, QuantSpec, Scheme, TensorSpec


class Small(nn.Module):
    """A convolution with batch norm, a depthwise one with hard-swish and a squeeze-excite gate, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Hardswish())
        self.gate = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.drop = nn.Dropout(0.5)
        self.classifier = nn.Linear(8, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 4) of an image (batch, 1, 8, 8)."""
        x = self.depthwise(self.stem(image))
        x = x * self.gate(x.mean((2, 3), keepdim=True))
        logits: Tensor = self.classifier(self.drop(x.mean((2, 3), keepdim=True).flatten(1)))
        return logits


class TwoInTwoOut(nn.Module):
    """Two inputs and two outputs, as a detector or a fusion network has."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(6, 8)
        self.right = nn.Linear(4, 8)
        self.scores = nn.Linear(8, 3)
        self.embedding = nn.Linear(8, 5)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (batch, 3) and an embedding (batch, 5)."""
        x = torch.relu(self.left(left) + self.right(right))
        return self.scores(x), self.embedding(x)


class Tokens(nn.Module):
    """Attention with two heads behind a layer norm, and the mean of the tokens."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.heads = (2, width // 2)
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features (batch, width) of tokens (batch, 6, width)."""
        x = self.norm(tokens)
        query, key, value = (
            torch.unflatten(f(x), -1, self.heads).transpose(1, 2) for f in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(-2, -1)).softmax(-1)
        mixed = torch.matmul(scores, value).transpose(1, 2).flatten(2)
        features: Tensor = (tokens + self.output(mixed)).mean(1)
        return features


class WellNamed(nn.Module):
    """Layers whose names a reader of programs might want for itself; ``blocks`` is among the commonest."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.lists, self.layers, self.nodes, self.inputs = (self._pair() for _ in range(5))
        self.outputs, self.constants, self.sizes, self.last, self.run = (self._pair() for _ in range(5))
        self.results, self.methods, self.steps, self.module = (self._pair() for _ in range(4))

    @staticmethod
    def _pair() -> nn.Sequential:
        return nn.Sequential(nn.Linear(8, 8), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 8) of x (batch, 8)."""
        x = self.layers(self.lists(self.blocks(x)))
        x = self.outputs(self.inputs(self.nodes(x)))
        x = self.last(self.sizes(self.constants(x)))
        x = self.methods(self.results(self.run(x)))
        found: Tensor = self.module(self.steps(x))
        return found


class Unquantizable(nn.Module):
    """Computes nothing that could be quantized."""

    def forward(self, image: Tensor) -> Tensor:
        """Return a function of the image for which there are no int8 kernels."""
        return image.sin().exp()


IMAGE = TensorSpec(name="image", shape=("batch", 1, 8, 8))
LOGITS = TensorSpec(name="logits", shape=("batch", 4), meaning="logits")


def small_source(seed: int = 0) -> Source:
    """Return the small network with seeded weights and batch norm statistics that are not trivial."""
    torch.manual_seed(seed)
    model = Small().train()
    for _ in range(40):
        model(torch.randn(32, 1, 8, 8) * 2 + 0.5)
    with torch.no_grad():  # so that the answers depend on the pictures rather than on the biases
        model.classifier.weight *= 10
        model.classifier.bias.zero_()
    return source_from_module("small", model, (IMAGE,), (LOGITS,), {"batch": 64})


def images(count: int, seed: int) -> Samples:
    """Return seeded noise pictures with arbitrary classes."""
    generator = np.random.default_rng(seed)
    return Samples(
        inputs={"image": generator.normal(0.5, 2, size=(count, 1, 8, 8)).astype(np.float32)},
        labels=generator.integers(0, 4, size=count),
    )


def faulty_job(quantization: QuantSpec, min_sqnr_db: float) -> Job:
    """Return a job around the network with a faulty layer, with one limit for all artifacts."""
    limit = Limits(min_sqnr_db=min_sqnr_db)
    return Job(
        source=faulty_source(),
        calibration=images(128, seed=1),
        evaluation=images(100, seed=2),
        baseline=None,
        quantization=quantization,
        budget=Budget(quantization=limit, total=limit),
    )


def small_job(budget: Budget | None = None) -> Job:
    """Return a job around the small network."""
    return Job(
        source=small_source(),
        calibration=images(128, seed=1),
        evaluation=images(100, seed=2),
        baseline=None,
        quantization=QuantSpec(),
        budget=budget or Budget(total=Limits(min_sqnr_db=15)),
    )


class Faulty(nn.Module):
    """Has one layer that int8 cannot hold: a hundredfold weight in every channel makes the steps of all others coarse.

    The large weights meet a channel that is always zero, so that the float network computes nothing with them. The
    channel is zero behind a hard-swish, through which no scale can be moved from one layer to the other.
    """

    def __init__(self, outlier: float = 100) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, 2, 1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 16, 3, padding=1)
        self.classifier = nn.Linear(256, 4)
        with torch.no_grad():
            self.classifier.bias.zero_()
            self.stem.weight[0] = 0
            assert self.stem.bias is not None
            self.stem.bias[0] = -4
            self.middle.weight[:, 0, 1, 1] = outlier * self.middle.weight[:, 1:].abs().amax()

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 4) of an image (batch, 1, 8, 8)."""
        x = torch.relu(self.last(torch.relu(self.middle(nn.functional.hardswish(self.stem(image))))))
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def faulty_source(outlier: float = 100, seed: int = 0) -> Source:
    """Return the network with one faulty layer; with an outlier of 1 it is healthy."""
    torch.manual_seed(seed)
    return source_from_module("faulty", Faulty(outlier), (IMAGE,), (LOGITS,), {"batch": 64})


class Forked(nn.Module):
    """Rounds one value, which three layers share, to steps that one of its channels makes coarse.

    The loud channel is read by nobody, so that the float network computes nothing with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.left = nn.Conv2d(8, 8, 3, padding=1)
        self.right = nn.Conv2d(8, 8, 3, padding=1)
        self.classifier = nn.Linear(512, 4)
        with torch.no_grad():
            self.stem.weight[0] *= 300
            for layer in (self.left, self.right):
                layer.weight[:, 0] = 0

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 4) of an image (batch, 1, 8, 8)."""
        x = self.stem(image)
        x = torch.relu(self.left(x)) * torch.relu(self.right(x))
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def quantized(
    model: nn.Module,
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    scheme: Scheme = Scheme.INT8,
) -> Quantized:
    """Quantize a model with seeded weights on noise."""
    generator = np.random.default_rng(3)
    samples = Samples(
        inputs={name: generator.normal(size=(32, *shape)).astype(np.float32) for name, shape in inputs.items()},
        labels=None,
    )
    source = source_from_module(
        "model",
        model.eval(),
        tuple(TensorSpec(name=name, shape=("batch", *shape)) for name, shape in inputs.items()),
        tuple(TensorSpec(name=name, shape=("batch", *size)) for name, size in outputs.items()),
        {"batch": 32},
    )
    return quantize(capture(source, samples), scheme, QuantSpec(bias_correction=False), samples)

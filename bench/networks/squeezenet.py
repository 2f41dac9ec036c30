"""Fire modules that concatenate, without batch norm, after SqueezeNet (https://arxiv.org/abs/1602.07360)."""

import torch
from torch import Tensor, nn

from bench.networks.layers import pooled

# squeezed channels, channels of each of the two expansions, pooling afterwards
_FIRES = ((16, 32, False), (16, 32, True), (24, 48, False), (24, 48, True), (32, 64, False))


class Fire(nn.Module):
    """Squeeze the channels, expand them with 1 x 1 and 3 x 3 filters, and concatenate the two."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.point = nn.Conv2d(squeezed, expanded, 1)
        self.square = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, 2 * expanded, height, width)."""
        squeezed = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.point(squeezed)), self.relu(self.square(squeezed))], 1)


class FireNet(nn.Module):
    """Classify grey pictures of shape (batch, 1, 32, 32) into 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU()]
        channels = 32
        for squeezed, expanded, pool in _FIRES:
            layers.append(Fire(channels, squeezed, expanded))
            channels = 2 * expanded
            if pool:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(channels, 10, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.classifier:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, 10)."""
        return pooled(self.classifier(self.features(image)))

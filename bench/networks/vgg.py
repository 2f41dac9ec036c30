"""A plain network of convolutions, batch norm and max pooling, after VGG (https://arxiv.org/abs/1409.1556)."""

from torch import Tensor, nn

from bench.networks.layers import conv_norm, pooled

_STAGES = (16, 32, 64, 64)


class PlainNet(nn.Module):
    """Classify grey pictures of shape (batch, 1, 32, 32) into 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for width in _STAGES:
            for inputs in (channels, width):
                layers += [conv_norm(inputs, width, 3), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            channels = width
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(channels, 64)
        self.activation = nn.ReLU()
        self.classifier = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, 10)."""
        logits: Tensor = self.classifier(self.activation(self.hidden(pooled(self.features(image)))))
        return logits

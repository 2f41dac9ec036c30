"""A MobileNetV3-like classifier for small grey pictures: the family of networks that plain int8 hurts.

Depthwise convolutions, squeeze-and-excite and hard-swish after Howard et al., "Searching for MobileNetV3"
(https://arxiv.org/abs/1905.02244), scaled down to 32 x 32 pixels.
"""

from torch import Tensor, nn

# kernel, expanded channels, output channels, squeeze-and-excite, hard-swish, stride
_BLOCKS = (
    (3, 16, 16, True, False, 1),
    (3, 48, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, True, 2),
    (5, 120, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from its mean over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(8, channels // 4)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.relu = nn.ReLU()
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` of shape (batch, channels, height, width), gated per channel."""
        # keepdim: without it the mean leaves the XNNPACK delegate and the app needs a kernel library of 10 MB.
        pooled = x.mean((2, 3), keepdim=True)
        gated: Tensor = x * self.gate(self.fc2(self.relu(self.fc1(pooled))))
        return gated


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, gate, project; add the input where the shapes allow it."""

    def __init__(
        self, inputs: int, kernel: int, expanded: int, outputs: int, excite: bool, hard_swish: bool, stride: int
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        activation = nn.Hardswish if hard_swish else nn.ReLU
        self.expand = _conv(inputs, expanded, 1, activation=activation)
        self.depthwise = _conv(expanded, expanded, kernel, stride=stride, groups=expanded, activation=activation)
        self.se = SqueezeExcite(expanded) if excite else nn.Identity()
        self.project = _conv(expanded, outputs, 1, activation=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        y: Tensor = self.project(self.se(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class DigitNet(nn.Module):
    """Classify grey pictures of shape (batch, 1, 32, 32) into ``classes`` logits."""

    def __init__(self, classes: int = 10, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = _conv(1, 16, 3, stride=2, activation=nn.Hardswish)
        channels = 16
        blocks = []
        for kernel, expanded, outputs, excite, hard_swish, stride in _BLOCKS:
            blocks.append(InvertedResidual(channels, kernel, expanded, outputs, excite, hard_swish, stride))
            channels = outputs
        self.features = nn.Sequential(*blocks)
        self.head = _conv(channels, 192, 1, activation=nn.Hardswish)
        self.hidden = nn.Linear(192, 128)
        self.activation = nn.Hardswish()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(128, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, classes)."""
        x = self.head(self.features(self.stem(image)))
        x = x.mean((2, 3), keepdim=True).flatten(1)
        logits: Tensor = self.classifier(self.dropout(self.activation(self.hidden(x))))
        return logits


def build(classes: int = 10, dropout: float = 0.1) -> nn.Module:
    """Make the network with random weights; the project file names the trained ones."""
    return DigitNet(classes=classes, dropout=dropout)


def _conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, activation: type[nn.Module]
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        activation(),
    )

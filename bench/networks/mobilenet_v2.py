"""Inverted residuals with linear bottlenecks and ReLU6, after MobileNetV2 (https://arxiv.org/abs/1801.04381)."""

from torch import Tensor, nn

from bench.networks.layers import conv_norm, pooled

# output channels, stride
_BLOCKS = ((16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (48, 1))
_EXPANSION = 4


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project; add the input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = inputs * _EXPANSION
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            conv_norm(inputs, wide, 1),
            nn.ReLU6(),
            conv_norm(wide, wide, 3, stride=stride, groups=wide),
            nn.ReLU6(),
            conv_norm(wide, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class BottleneckNet(nn.Module):
    """Classify grey pictures of shape (batch, 1, 32, 32) into 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(1, 16, 3, stride=2), nn.ReLU6())
        blocks = []
        channels = 16
        for outputs, stride in _BLOCKS:
            blocks.append(InvertedResidual(channels, outputs, stride))
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(conv_norm(channels, 160, 1), nn.ReLU6())
        self.classifier = nn.Linear(160, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, 10)."""
        logits: Tensor = self.classifier(pooled(self.head(self.blocks(self.stem(image)))))
        return logits

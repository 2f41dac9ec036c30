"""EfficientNet-Lite0, a classifier of photographs of 224 x 224 pixels into the 1000 classes of ImageNet.

Tan and Le, "EfficientNet" (https://arxiv.org/abs/1905.11946), without squeeze-and-excite and with ReLU6, as its authors
made it for phones. Modules are named as the trained weights name them; padding is TensorFlow's "same".
"""

from torch import Tensor, nn
from torch.nn import functional

# repeats, kernel, stride of the first, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class Conv(nn.Conv2d):
    """A convolution without bias whose output is 1 / stride of its input, which is even where the stride is two."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        # With a stride of two there is one column less to fill: it is missing on the left.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        before = (kernel - stride) // 2
        self.fill = (before, kernel - stride - before) * 2 if stride > 1 else ()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the base class's name
        """Map (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        return super().forward(functional.pad(input, self.fill) if self.fill else input)


class Block(nn.Module):
    """Expand, filter depthwise, project; add the input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expands, self.residual = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv, self._bn0 = Conv(inputs, wide), _norm(wide)
        self._depthwise_conv, self._bn1 = Conv(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = Conv(wide, outputs), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        wide = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        wide = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        y: Tensor = self._bn2(self._project_conv(wide))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Classify pictures of shape (batch, 3, 224, 224), values from -1 to 1."""

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Conv(3, 32, 3, 2), _norm(32)
        channels, blocks = 32, []
        for repeats, kernel, stride, expansion, outputs in _STAGES:
            for number in range(repeats):
                blocks.append(Block(channels, outputs, kernel, stride if number == 0 else 1, expansion))
                channels = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = Conv(channels, 1280), _norm(1280)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(1280, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, classes)."""
        x = functional.relu6(self._bn0(self._conv_stem(image)))
        x = functional.relu6(self._bn1(self._conv_head(self._blocks(x))))
        logits: Tensor = self._fc(self._dropout(x.mean((2, 3), keepdim=True).flatten(1)))
        return logits


def build(classes: int = 1000) -> nn.Module:
    """Make the network with random weights; the project file names the trained ones."""
    return EfficientNetLite0(classes=classes)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

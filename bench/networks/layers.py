"""Parts that several networks are made of."""

from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the picture's size (but for the stride), and its batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


def pooled(x: Tensor) -> Tensor:
    """Average (batch, channels, height, width) to (batch, channels), in the form that delegates take."""
    return x.mean((2, 3), keepdim=True).flatten(1)

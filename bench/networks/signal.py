"""A network of 1-D convolutions over a signal of 64 samples."""

from torch import Tensor, nn

# output channels, stride
_LAYERS = ((32, 1), (48, 2), (64, 1), (64, 2), (96, 1), (96, 2))
_KERNEL = 5


class SignalNet(nn.Module):
    """Classify signals of shape (batch, 1, 64) into 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for outputs, stride in _LAYERS:
            layers += [
                nn.Conv1d(channels, outputs, _KERNEL, stride, _KERNEL // 2, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
            ]
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 10)

    def forward(self, signal: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, 10)."""
        logits: Tensor = self.classifier(self.features(signal).mean(2, keepdim=True).flatten(1))
        return logits

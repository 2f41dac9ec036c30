"""Networks that read text in pictures, in plain torch, with the names that EasyOCR's shipped weights have."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
# Where CRAFT's five slices of VGG-16 with batch norms begin and end.
_SLICES = ((0, 12), (12, 19), (19, 29), (29, 39))


class Craft(nn.Module):
    """CRAFT (Baek et al. 2019): where letters are, and where they belong together."""

    def __init__(self) -> None:
        super().__init__()
        self.basenet = _Slices()
        self.upconv1, self.upconv2 = _Up(1536, 512, 256), _Up(768, 256, 128)
        self.upconv3, self.upconv4 = _Up(384, 128, 64), _Up(192, 64, 32)
        relu = nn.ReLU(inplace=True)
        self.conv_cls = nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1), relu, nn.Conv2d(32, 32, 3, padding=1), relu,
            nn.Conv2d(32, 16, 3, padding=1), relu, nn.Conv2d(16, 16, 1), relu, nn.Conv2d(16, 2, 1),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures (batch, 3, height, width) to two maps (batch, 2, height / 2, width / 2)."""
        deepest, *others = self.basenet(image)
        x = torch.cat([deepest, others[0]], 1)
        for up, beside in zip((self.upconv1, self.upconv2, self.upconv3), others[1:], strict=True):
            x = up(x)
            x = functional.interpolate(x, size=beside.shape[2:], mode="bilinear", align_corners=False)
            x = torch.cat([x, beside], 1)
        result: Tensor = self.conv_cls(self.upconv4(x))
        return result


class Crnn(nn.Module):
    """CRNN (Shi et al. 2015) of EasyOCR's second generation: convolutions, two LSTM both ways, letters by column."""

    def __init__(self, letters: int = 97) -> None:
        super().__init__()
        layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2),
            nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2),
            nn.Conv2d(64, 128, 3, 1, 1), nn.ReLU(True), nn.Conv2d(128, 128, 3, 1, 1), nn.ReLU(True),
            nn.MaxPool2d((2, 1), (2, 1)),
            nn.Conv2d(128, 256, 3, 1, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(True),
            nn.Conv2d(256, 256, 3, 1, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(True),
            nn.MaxPool2d((2, 1), (2, 1)), nn.Conv2d(256, 256, 2, 1, 0), nn.ReLU(True),
        )  # fmt: skip
        self.FeatureExtraction = nn.ModuleDict({"ConvNet": layers})
        self.SequenceModeling = nn.Sequential(_BothWays(256), _BothWays(256))
        self.Prediction = nn.Linear(256, letters)

    def forward(self, line: Tensor) -> Tensor:
        """Map lines of text (batch, 1, 64, width) to scores of letters (batch, letters, columns)."""
        x = self.FeatureExtraction["ConvNet"](line).permute(0, 3, 1, 2)
        x = functional.adaptive_avg_pool2d(x, (x.shape[2], 1)).squeeze(3)
        result: Tensor = self.Prediction(self.SequenceModeling(x)).transpose(1, 2)
        return result


def named_as_saved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefix that DataParallel leaves in saved names."""
    return {name.removeprefix("module."): value for name, value in state.items()}


class _Slices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _VGG16:
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2, 2))
        for number, (start, end) in enumerate(_SLICES, 1):
            part = nn.Sequential()
            for place in range(start, end):
                part.add_module(str(place), layers[place])
            self.add_module(f"slice{number}", part)
        self.slice5 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.Conv2d(1024, 1024, 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what each slice gives, the deepest first."""
        found: list[Tensor] = []
        for part in self.children():
            x = part(x)
            found.insert(0, x)
        return [found[0], *found[1:]]


class _Up(nn.Module):
    def __init__(self, into: int, middle: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(into, middle, 1), nn.BatchNorm2d(middle), nn.ReLU(inplace=True),
            nn.Conv2d(middle, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Mix and widen."""
        result: Tensor = self.conv(x)
        return result


class _BothWays(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(width, width, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Read both ways."""
        result: Tensor = self.linear(self.rnn(x)[0])
        return result

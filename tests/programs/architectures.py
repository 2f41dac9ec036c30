"""Networks that people deploy, written out small: their layouts are those of torchvision, timm and MTCNN."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Fire(nn.Module):
    """A module of SqueezeNet."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.one = nn.Conv2d(squeezed, expanded, 1)
        self.three = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return both expansions behind each other."""
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1, whose pools round up."""

    def __init__(self, width: int = 4, classes: int = 5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4 * width, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(4 * width, width, 4 * width), Fire(8 * width, width, 4 * width),
            nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8 * width, 2 * width, 8 * width),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(16 * width, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (batch, classes) of pictures (batch, 3, height, width)."""
        return torch.flatten(self.classifier(self.features(x)), 1)


class PNet(nn.Module):
    """The first network of MTCNN: a softmax over the channels of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 10, 3), nn.PReLU(10), nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Conv2d(10, 16, 3), nn.PReLU(16), nn.Conv2d(16, 32, 3), nn.PReLU(32),
        )  # fmt: skip
        self.faces, self.boxes = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities (batch, 2, h, w) and boxes (batch, 4, h, w)."""
        x = self.features(x)
        return functional.softmax(self.faces(x), dim=1), self.boxes(x)


class Block(nn.Module):
    """A block of a vision transformer, as timm writes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (batch, length, width)."""
        b, n, c = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, n, c))
        tokens: Tensor = x + self.mlp(self.norm2(x))
        return tokens


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, blocks: ViT-tiny with a width of 192, 3 heads and a depth of 12."""

    def __init__(self, size: int = 16, patch: int = 8, width: int = 24, heads: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (batch, 5) of pictures (batch, 3, size, size)."""
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        scores: Tensor = self.head(self.norm(self.blocks(x))[:, 0])
        return scores


class Window(nn.Module):
    """A block of swin: windows that are shifted, masked and biased by position; and the merging of patches."""

    def __init__(self, width: int = 8, heads: int = 2, size: int = 4, window: int = 2) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))
        grid = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", apart[..., 0] * (2 * window - 1) + apart[..., 1])
        regions = (torch.arange(size)[:, None] // 3 * 2 + torch.arange(size)[None, :] // 3).float()[None, ..., None]
        parts = self.windows(regions).squeeze(-1)
        self.register_buffer("mask", (parts[:, None] != parts[:, :, None]).float() * -100)
        self.merged = nn.Linear(4 * width, 2 * width, bias=False)

    def windows(self, x: Tensor) -> Tensor:
        """Return windows (batch * windows, window ** 2, width) of a map (batch, height, width, channels)."""
        b, h, w, c = x.shape
        x = x.view(b, h // self.window, self.window, w // self.window, self.window, c)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.window**2, c)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, height / 2, width / 2, 2 * channels) of a map (batch, height, width, channels)."""
        assert isinstance(self.index, Tensor)
        assert isinstance(self.mask, Tensor)
        _, h, w, c = x.shape
        y = self.windows(torch.roll(self.norm(x), (-1, -1), (1, 2)))
        many, n, _ = y.shape
        query, key, value = self.qkv(y).reshape(many, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.table[self.index.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous()
        scores = (query * (c // self.heads) ** -0.5) @ key.transpose(-2, -1) + bias
        scores = scores.view(-1, len(self.mask), self.heads, n, n) + self.mask[None, :, None]
        mixed = scores.view(-1, self.heads, n, n).softmax(-1) @ value
        y = self.proj(mixed.transpose(1, 2).reshape(many, n, c))
        y = y.view(-1, h // self.window, w // self.window, self.window, self.window, c)
        y = x + torch.roll(y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, h, w, c), (1, 1), (1, 2))
        corners = [y[:, 0::2, 0::2], y[:, 1::2, 0::2], y[:, 0::2, 1::2], y[:, 1::2, 1::2]]
        merged: Tensor = self.merged(torch.cat(corners, -1))
        return merged

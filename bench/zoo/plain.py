"""Architectures in plain torch, after the papers that they are named for; nothing but torch is needed."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class UNet(nn.Module):
    """U-Net with batch norms and bilinear upsampling (Ronneberger et al. 2015); per-pixel scores of classes."""

    def __init__(self, classes: int = 8, width: int = 16, levels: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(_double(into, out) for into, out in zip([3, *widths], widths, strict=False))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(_double(deep + flat, flat) for deep, flat in pairs)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures (batch, 3, height, width) to scores (batch, classes, height, width)."""
        kept: list[Tensor] = []
        x = image
        for number, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if number else x)
            kept.append(x)
        for block, beside in zip(self.up, kept[-2::-1], strict=True):
            grown = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([grown, beside], 1))
        result: Tensor = self.head(x)
        return result


class KeywordNet(nn.Module):
    """DS-CNN for keywords (Zhang et al. 2017): depthwise separable convolutions over time and bands."""

    def __init__(self, words: int = 12, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(1, width, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(_separable(width) for _ in range(4)))
        self.head = nn.Linear(width, words)

    def forward(self, bands: Tensor) -> Tensor:
        """Map (batch, 1, frames, bands) to logits (batch, words)."""
        result: Tensor = self.head(self.blocks(self.first(bands)).mean((2, 3)))
        return result


class Recurrent(nn.Module):
    """A classifier of sequences: LSTM or GRU layers, then a linear layer on the last step."""

    def __init__(self, kind: str, inputs: int, width: int, layers: int, *, both: bool = False) -> None:
        super().__init__()
        make = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
        self.cells = make(inputs, width, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(width * (2 if both else 1), 12)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, frames, inputs) to logits (batch, 12)."""
        found, _ = self.cells(frames)
        result: Tensor = self.head(found[:, -1])
        return result


class VoiceEncoder(nn.Module):
    """Resemblyzer's network (Wan et al. 2018): three LSTM layers, the last state as a vector of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, bands: Tensor) -> Tensor:
        """Map mel bands (batch, frames, 40) to vectors (batch, 256)."""
        _, (hidden, _) = self.lstm(bands)
        result: Tensor = functional.normalize(functional.relu(self.linear(hidden[-1])), dim=1)
        return result


class Encoder(nn.Module):
    """An encoder of sentences as DistilBERT is (Sanh et al. 2019): learnt places, norms after sums, a masked mean."""

    def __init__(self, vocabulary: int = 4096, width: int = 128, layers: int = 3, heads: int = 4, longest: int = 64):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(longest, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(_EncoderLayer(width, heads) for _ in range(layers))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map tokens and mask (batch, length) to vectors (batch, width) of length one."""
        x = self.norm(self.tokens(tokens) + self.places.weight[: tokens.shape[1]])
        allowed = mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, allowed)
        there = mask[..., None].to(x.dtype)
        result: Tensor = functional.normalize((x * there).sum(1) / there.sum(1).clamp(min=1e-9), dim=1)
        return result


class Llama(nn.Module):
    """A small Llama (Touvron et al. 2023): RMS norms, rotary places, SwiGLU, causal attention; the next token."""

    def __init__(self, vocabulary: int = 512, width: int = 128, layers: int = 2, heads: int = 4, longest: int = 64):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(_LlamaLayer(width, heads, longest) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, length) to logits (batch, vocabulary)."""
        x = self.tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        result: Tensor = self.head(self.norm(x)[:, -1])
        return result


class _EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.first, self.second = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """Attend and feed forward."""
        query, key, value = (_split(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = self.first(x + self.out(found.transpose(1, 2).flatten(2)))
        result: Tensor = self.second(x + self.narrow(functional.gelu(self.wide(x))))
        return result


class _LlamaLayer(nn.Module):
    cosine: Tensor
    sine: Tensor

    def __init__(self, width: int, heads: int, longest: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        hidden = 32 * math.ceil(8 * width / 3 / 32)
        self.gate, self.wide = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.narrow = nn.Linear(hidden, width, bias=False)
        self.first, self.second = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
        half = width // heads // 2
        angles = torch.outer(torch.arange(longest), 10000 ** (-torch.arange(half) / half))
        angles = torch.cat([angles, angles], 1)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to what came before, and feed forward."""
        y = self.first(x)
        query, key = (self._turned(_split(layer(y), self.heads)) for layer in (self.query, self.key))
        found = functional.scaled_dot_product_attention(query, key, _split(self.value(y), self.heads), is_causal=True)
        x = x + self.out(found.transpose(1, 2).flatten(2))
        y = self.second(x)
        result: Tensor = x + self.narrow(functional.silu(self.gate(y)) * self.wide(y))
        return result

    def _turned(self, x: Tensor) -> Tensor:
        length = x.shape[2]
        one, other = x.chunk(2, -1)
        return x * self.cosine[:length] + torch.cat([-other, one], -1) * self.sine[:length]


def _split(x: Tensor, heads: int) -> Tensor:
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def _double(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
    )  # fmt: skip


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
    )  # fmt: skip

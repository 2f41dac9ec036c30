"""A small vision transformer (https://arxiv.org/abs/2010.11929) with attention written out, pooled by the mean."""

import torch
from torch import Tensor, nn

_SIDE = 32
_PATCH = 4
_WIDTH = 64
_HEADS = 4
_BLOCKS = 3


class Attention(nn.Module):
    """Multi-head self-attention of matrix products and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(_WIDTH, _WIDTH)
        self.key = nn.Linear(_WIDTH, _WIDTH)
        self.value = nn.Linear(_WIDTH, _WIDTH)
        self.output = nn.Linear(_WIDTH, _WIDTH)
        self.scale = (_WIDTH // _HEADS) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        query = self._heads(self.query(x)) * self.scale
        scores = torch.matmul(query, self._heads(self.key(x)).transpose(-2, -1))
        mixed = torch.matmul(scores.softmax(-1), self._heads(self.value(x)))
        result: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return result

    def _heads(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (_HEADS, _WIDTH // _HEADS)).transpose(1, 2)


class Block(nn.Module):
    """Attention and two linear layers, each behind a layer norm and around it a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(_WIDTH)
        self.attention = Attention()
        self.second_norm = nn.LayerNorm(_WIDTH)
        self.mlp = nn.Sequential(nn.Linear(_WIDTH, 2 * _WIDTH), nn.GELU(), nn.Linear(2 * _WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        x = x + self.attention(self.first_norm(x))
        y: Tensor = x + self.mlp(self.second_norm(x))
        return y


class PatchNet(nn.Module):
    """Classify grey pictures of shape (batch, 1, 32, 32) into 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, _WIDTH, _PATCH, _PATCH)
        self.position = nn.Parameter(torch.randn(1, (_SIDE // _PATCH) ** 2, _WIDTH) * 0.02)
        self.blocks = nn.Sequential(*[Block() for _ in range(_BLOCKS)])
        self.norm = nn.LayerNorm(_WIDTH)
        self.classifier = nn.Linear(_WIDTH, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, float32 of shape (batch, 10)."""
        x = self.patches(image).flatten(2).transpose(1, 2) + self.position
        logits: Tensor = self.classifier(self.norm(self.blocks(x)).mean(1))
        return logits

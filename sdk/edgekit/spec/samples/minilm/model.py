"""all-MiniLM-L6-v2: a sentence becomes a vector of 384 numbers, near those of sentences that mean the like.

A BERT encoder (Devlin et al., https://arxiv.org/abs/1810.04805) of six layers, after Wang et al., "MiniLM"
(https://arxiv.org/abs/2002.10957), and the mean over its tokens, after Reimers and Gurevych, "Sentence-BERT"
(https://arxiv.org/abs/1908.10084). Modules are named as the trained weights name them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTH, _INNER, _HEADS, _LAYERS = 384, 1536, 12, 6
_WORDS, _PLACES = 30522, 512


class Embeddings(nn.Module):
    """The vector of each token and of its place; all tokens are of the first of two types."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(_WORDS, _WIDTH)
        self.position_embeddings = nn.Embedding(_PLACES, _WIDTH)
        self.token_type_embeddings = nn.Embedding(2, _WIDTH)
        self.LayerNorm = _norm()

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, length) to vectors (batch, length, width)."""
        places = self.position_embeddings(torch.arange(tokens.shape[1], device=tokens.device))
        x: Tensor = self.LayerNorm(self.word_embeddings(tokens) + places + self.token_type_embeddings.weight[0])
        return x


class Heads(nn.Module):
    """Attention of each token to those that are there, in several heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(_WIDTH, _WIDTH) for _ in range(3))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, length, width) to the same; ``bias`` (batch, 1, 1, length) hides tokens by large negatives."""
        query, key, value = (
            part(x).unflatten(-1, (_HEADS, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return read.transpose(1, 2).flatten(2)


class Added(nn.Module):
    """A linear layer whose outputs are added to what was there before, normalised."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(inputs, _WIDTH), _norm()

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """Map (batch, length, inputs) and (batch, length, width) to (batch, length, width)."""
        y: Tensor = self.LayerNorm(self.dense(x) + before)
        return y


class Layer(nn.Module):
    """Attention, then two linear layers for each token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": Heads(), "output": Added(_WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(_WIDTH, _INNER)})
        self.output = Added(_INNER)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, length, width) to the same."""
        x = self.attention["output"](self.attention["self"](x, bias), x)
        y: Tensor = self.output(functional.gelu(self.intermediate["dense"](x)), x)
        return y


class Encoder(nn.Module):
    """The layers, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer() for _ in range(_LAYERS))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, length, width) to the same."""
        for layer in self.layer:
            x = layer(x, bias)
        return x


class SentenceEncoder(nn.Module):
    """Sentences as vectors of length one: their dot product is the cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings, self.encoder = Embeddings(), Encoder()

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map tokens and mask, int64 of shape (batch, length), 1 where a token is, to float32 (batch, 384)."""
        x = self.embeddings(tokens)
        # Converted once, and no truth values: each conversion would stand between two parts of the delegate.
        there = mask.to(x.dtype)
        x = self.encoder(x, ((there - 1) * 1e4)[:, None, None, :])
        weight = there[..., None]
        mean = (x * weight).sum(1) / weight.sum(1)
        return functional.normalize(mean, dim=1)


def build() -> nn.Module:
    """Make the network with random weights; the project file names the trained ones."""
    return SentenceEncoder()


def _norm() -> nn.LayerNorm:
    return nn.LayerNorm(_WIDTH, eps=1e-12)

"""Rows for functions: reductions, reshapes, arithmetic; attention and recurrent layers."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from tests.operators.rows import Between, Called, Function, Row, function, vectors


def reductions() -> Iterator[Row]:
    """Yield reductions."""
    group = "reduce"
    bodies: dict[str, Function] = {
        "mean over tokens": lambda x: x.mean(1),
        "mean over features": lambda x: x * x.mean(-1, keepdim=True),
        "sum": lambda x: x.sum(1),
        "amax": lambda x: x.amax(1),
        "amin": lambda x: x.amin(1),
        "max with indices": lambda x: x.max(1)[0],
        "std": lambda x: x.std(1),
        "var": lambda x: x.var(1),
        "norm": lambda x: x / (x.norm(dim=-1, keepdim=True) + 0.1),
        "logsumexp": lambda x: torch.logsumexp(x, 1),
        "prod": lambda x: x.tanh().add(1.5).prod(1),
        "cumsum": lambda x: x.cumsum(1) * 0.1,
        "median": lambda x: x.median(1)[0],
        "topk": lambda x: x.topk(3, 1)[0].flatten(1)[:, :16],
    }
    for name, body in bodies.items():
        yield function(group, name, body)
    yield function(group, "mean over places", lambda x: x.mean((2, 3), keepdim=True), 2)
    yield function(group, "mean over places, flat", lambda x: x.mean((2, 3))[:, :, None, None], 2)
    yield function(group, "mean over rows", lambda x: x.mean(2, keepdim=True), 2)
    yield function(group, "amax over places", lambda x: x.amax((2, 3), keepdim=True), 2)
    yield function(group, "mean, last", lambda x: x.mean((2, 3)), 2, last=False)
    yield function(group, "argmax, last", lambda x: x.argmax(1), 0, last=False)


def reshapes() -> Iterator[Row]:
    """Yield what moves values without computing."""
    group = "reshape"
    bodies: dict[str, Function] = {
        "flatten": lambda x: x.flatten(1)[:, :16],
        "unflatten": lambda x: x.unflatten(-1, (4, 4)).flatten(2),
        "transpose": lambda x: x.transpose(1, 2).transpose(1, 2).contiguous(),
        "cat": lambda x: torch.cat([x[..., :8], x[..., 8:].relu()], -1),
        "stack": lambda x: torch.stack([x, x.relu()], 1).sum(1),
        "chunk": lambda x: torch.cat(x.chunk(2, -1)[::-1], -1),
        "split": lambda x: x.split([4, 12], -1)[1].repeat(1, 1, 2)[..., :16],
        "slice with step": lambda x: x[:, ::2],
        "roll": lambda x: x.roll(1, 1),
        "flip": lambda x: x.flip(1),
        "gather": lambda x: x.gather(1, torch.zeros(x.shape[0], 4, 16, dtype=torch.int64)),
        "index_select": lambda x: x.index_select(1, torch.tensor([0, 3, 5])),
        "index": lambda x: x[:, [1, 2, 7]],
        "repeat": lambda x: x.repeat(1, 2, 1),
        "expand": lambda x: x[:, :1].expand(-1, 10, -1),
        "tile": lambda x: x.tile(1, 2, 1),
        "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
        "squeeze": lambda x: x[:, :1].squeeze(1),
        "unsqueeze": lambda x: x.unsqueeze(1).amax(1),
        "narrow": lambda x: x.narrow(1, 2, 5),
        "masked_fill": lambda x: x.masked_fill(torch.arange(10)[:, None] > 7, 0.0),
        "tril": lambda x: x.tril(),
        "where": lambda x: torch.where(x > 0, x, x * 0.1),
        "unbind": lambda x: x.unbind(1)[3],
    }
    for name, body in bodies.items():
        yield function(group, name, body)
    yield function(group, "permute", lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2), 2)
    yield function(group, "window partition", _windows, 2)
    yield function(group, "shifted window", lambda x: _windows(x.roll((-2, -2), (2, 3))).roll((2, 2), (2, 3)), 2)


def _windows(x: Tensor) -> Tensor:
    parts = x.reshape(-1, 8, 3, 4, 3, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 9, 16, 8)
    parts = parts * 0.5 + parts.mean(2, keepdim=True)
    return parts.reshape(-1, 3, 3, 4, 4, 8).permute(0, 5, 1, 3, 2, 4).reshape(-1, 8, 12, 12)


def arithmetic() -> Iterator[Row]:
    """Yield operations on elements, and products of tensors."""
    group = "arithmetic"
    bodies: dict[str, Function] = {
        "add": lambda x: x + x.relu(),
        "add a number": lambda x: x + 0.3,
        "add with alpha": lambda x: torch.add(x, x.relu(), alpha=0.5),
        "sub": lambda x: x - x.relu(),
        "rsub": lambda x: 1 - x,
        "mul": lambda x: x * x.sigmoid(),
        "mul a number": lambda x: x * 3.0,
        "square": lambda x: x * x,
        "div": lambda x: x / (x.abs() + 1),
        "div by a number": lambda x: x / 3.0,
        "pow": lambda x: x**2,
        "sqrt": lambda x: (x.relu() + 0.1).sqrt(),
        "rsqrt": lambda x: (x.relu() + 0.1).rsqrt(),
        "exp": lambda x: (x * 0.5).exp(),
        "log": lambda x: (x.relu() + 0.1).log(),
        "log1p": lambda x: x.relu().log1p(),
        "abs": lambda x: x.abs(),
        "neg": lambda x: -x,
        "clamp": lambda x: x.clamp(-0.5, 0.5),
        "clamp below": lambda x: x.clamp(min=-0.2),
        "minimum": lambda x: torch.minimum(x, x.roll(1, 1)),
        "maximum": lambda x: torch.maximum(x, x.roll(1, 1)),
        "cos": lambda x: x.cos(),
        "sin": lambda x: x.sin(),
        "erf": lambda x: x.erf(),
        "floor": lambda x: (x * 4).floor() * 0.25,
        "round": lambda x: (x * 4).round() * 0.25,
        "sign": lambda x: x.sign() * 0.5 + x,
        "reciprocal": lambda x: 1 / (x.abs() + 0.5),
        "atan": lambda x: x.atan(),
        "remainder": lambda x: x.remainder(0.7),
        "lerp": lambda x: torch.lerp(x, x.relu(), 0.3),
        "addcmul": lambda x: torch.addcmul(x, x.tanh(), x.sigmoid()),
        "matmul": lambda x: x @ x.transpose(1, 2) @ x * 0.1,
        "bmm": lambda x: torch.bmm(x, x.transpose(1, 2)) @ x * 0.1,
        "einsum": lambda x: torch.einsum("bij,bkj->bik", x, x) @ x * 0.1,
        "outer product": lambda x: (x[..., :4, None] * x[..., None, :4]).flatten(2),
        "cdist": lambda x: torch.cdist(x, x) @ x * 0.1,
        "logical masks": lambda x: x * ((x > -1) & (x < 1)).float(),
    }
    for name, body in bodies.items():
        yield function(group, name, body)
    yield function(group, "residual sum", lambda x: x + x.tanh(), 2)
    yield function(group, "gate for each channel", lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), 2)
    yield function(group, "sum, last", lambda x: x + x.relu(), 2, last=False)


class _Attention(nn.Module):
    """Self-attention written out, with a mask of one of the usual kinds."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.to_all, self.out = kind, nn.Linear(16, 48), nn.Linear(16, 6)
        self.register_buffer("mask", torch.ones(10, 10).tril().bool())
        self.register_buffer("bias", torch.randn(4, 10, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Attend with four heads."""
        q, k, v = self.to_all(x).reshape(-1, 10, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        masks = {"bool": self.get_buffer("mask"), "float": self.get_buffer("bias")}
        mask = masks.get(self.kind)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.kind == "causal")
        found: Tensor = self.out(y.transpose(1, 2).reshape(-1, 10, 16))
        return found


class _SelfAttention(nn.Module):
    """``nn.MultiheadAttention`` on one input."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to itself."""
        found: Tensor = self.attend(x, x, x, need_weights=False)[0]
        return found


class _Decoder(nn.Module):
    """``nn.TransformerDecoderLayer`` whose memory is its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Decode."""
        found: Tensor = self.layer(x, x)
        return found


def attention() -> Iterator[Row]:
    """Yield attention and transformer layers."""
    group = "attention"
    for kind in ("none", "bool", "float", "causal"):
        name = f"scaled_dot_product_attention, mask: {kind}"
        yield vectors(group, name, partial(_Attention, kind), last=False)
    yield vectors(group, "MultiheadAttention", _SelfAttention)
    yield vectors(group, "TransformerEncoderLayer", lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True))
    yield vectors(
        group,
        "TransformerEncoderLayer, norm first, GELU",
        lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True, activation="gelu"),
    )
    yield vectors(group, "TransformerDecoderLayer", _Decoder)


class _Recurrent(nn.Module):
    """A recurrent layer of which the last step is read."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Run over the steps."""
        found: Tensor = self.layer(x)[0]
        return found


class _Step(nn.Module):
    """One step of a cell, with its state as inputs and outputs."""

    def __init__(self, cell: nn.Module, *, two: bool) -> None:
        super().__init__()
        self.cell, self.two, self.head = cell, two, nn.Linear(16, 6)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Step, and read the new state."""
        found: Tensor = self.head(self.cell(x, (h, h * 0.5))[0] if self.two else self.cell(x, h))
        return found


def _over_steps(kind: Callable[..., nn.Module], **options: bool | int) -> nn.Module:
    return _Recurrent(kind(16, 16, batch_first=True, **options))


def _one_step(kind: Callable[..., nn.Module]) -> nn.Module:
    return _Step(kind(8, 16), two=kind is nn.LSTMCell)


def recurrent() -> Iterator[Row]:
    """Yield recurrent layers and cells."""
    group = "recurrent"
    variants: dict[str, dict[str, Any]] = {
        "": {},
        ", two layers": {"num_layers": 2},
        ", both directions": {"bidirectional": True},
    }
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        for name, more in variants.items():
            width = 32 if "both" in name else 16
            yield vectors(
                group,
                f"{kind.__name__}{name}",
                partial(_over_steps, kind, **more),
                width=width,
            )
    for cell in (nn.RNNCell, nn.LSTMCell, nn.GRUCell):
        yield Row(
            name=cell.__name__,
            group=group,
            make=partial(_one_step, cell),
            shapes=((8,), (16,)),
        )
    yield Row(
        name="PairwiseDistance",
        group="arithmetic",
        make=lambda: Between(
            nn.Linear(12, 16), Called(lambda x: F.pairwise_distance(x, x.roll(1, 1)).unsqueeze(-1)), nn.Linear(1, 6)
        ),
        shapes=((10, 12),),
    )

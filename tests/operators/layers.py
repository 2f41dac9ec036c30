"""Rows for the layers of ``torch.nn``: those with weights, norms, activations, pools, pads, resizing, attention."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from tests.operators.rows import CONVOLUTIONS, PLACES, TRANSPOSED, Row, function, maps, settled, vectors


class _Products(nn.Module):
    """A bilinear layer, and a linear one behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.last = nn.Bilinear(8, 6, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Multiply the two."""
        found: Tensor = self.last(self.both(x, y).relu())
        return found


def weighted() -> Iterator[Row]:
    """Yield layers with weights."""
    group = "weights"
    yield vectors(group, "Linear", nn.Identity)
    yield Row(name="Linear, one vector", group=group, make=lambda: nn.Linear(24, 8), shapes=((24,),))
    yield Row(name="Linear, no bias", group=group, make=lambda: nn.Linear(24, 8, bias=False), shapes=((24,),))
    yield Row(name="Bilinear", group=group, make=_Products, shapes=((8,), (6,)))
    yield vectors(group, "weight_norm", lambda: nn.utils.parametrizations.weight_norm(nn.Linear(16, 16)))
    yield vectors(group, "spectral_norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16)))
    for dims, kind in CONVOLUTIONS.items():
        options: dict[str, dict[str, Any]] = {
            "": {},
            ", stride 2": {"stride": 2, "padding": 1},
            ", padding same": {"padding": "same"},
            ", dilated": {"dilation": 2},
            ", grouped": {"groups": 4},
            ", depthwise": {"groups": 8},
            ", no bias": {"bias": False},
            ", circular": {"padding": 1, "padding_mode": "circular"},
            ", reflect": {"padding": 1, "padding_mode": "reflect"},
            ", replicate": {"padding": 1, "padding_mode": "replicate"},
        }
        for name, more in options.items():
            yield maps(group, f"Conv{dims}d{name}", partial(kind, 8, 8, 3, **more), dims)
        yield maps(group, f"Conv{dims}d, two for each channel", partial(kind, 8, 16, 3, groups=8), dims, channels=16)
    for dims, turned in TRANSPOSED.items():
        options = {
            "": {},
            ", stride 2": {"stride": 2},
            ", output padding": {"stride": 2, "output_padding": 1},
            ", grouped": {"groups": 2, "stride": 2},
            ", dilated": {"dilation": 2},
        }
        for name, more in options.items():
            yield maps(group, f"ConvTranspose{dims}d{name}", partial(turned, 8, 8, 3, **more), dims)
    yield Row(
        name="Embedding",
        group=group,
        make=lambda: nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 6)),
        shapes=((10,),),
        tokens=50,
    )
    bags: dict[str, Callable[[], nn.Module]] = {
        "": partial(nn.EmbeddingBag, 50, 16, mode="mean"),
        ", sum": partial(nn.EmbeddingBag, 50, 16, mode="sum"),
        ", largest": partial(nn.EmbeddingBag, 50, 16, mode="max"),
        ", padding": partial(nn.EmbeddingBag, 50, 16, mode="mean", padding_idx=0),
    }
    for name, bag in bags.items():
        yield Row(name=f"EmbeddingBag{name}", group=group, make=partial(_summed, bag), shapes=((10,),), tokens=50)
    yield Row(name="rows by index", group=group, make=_Indexed, shapes=((10,),), tokens=50)


def _summed(bag: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(bag(), nn.Linear(16, 6))


class _Indexed(nn.Module):
    """A table that is no module, as code of one's own has it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.last = nn.Parameter(torch.randn(50, 16)), nn.Linear(16, 6)

    def forward(self, ids: Tensor) -> Tensor:
        """Return (batch, 10, 6) of ids (batch, 10)."""
        found: Tensor = self.last(self.rows[ids])
        return found


def _settled(kind: Callable[..., nn.Module], **options: bool) -> nn.Module:
    return settled(kind(8, **options))


def _behind_relu(kind: Callable[..., nn.Module]) -> nn.Module:
    return nn.Sequential(nn.ReLU(), _settled(kind))


def norms() -> Iterator[Row]:
    """Yield layers that normalise."""
    group = "norm"
    kinds = {
        1: (nn.BatchNorm1d, nn.InstanceNorm1d),
        2: (nn.BatchNorm2d, nn.InstanceNorm2d),
        3: (nn.BatchNorm3d, nn.InstanceNorm3d),
    }
    for dims, (batch, instance) in kinds.items():
        yield maps(group, f"BatchNorm{dims}d", partial(_settled, batch), dims)
        yield maps(
            group,
            f"BatchNorm{dims}d behind ReLU",
            partial(_behind_relu, batch),
            dims,
        )
        yield maps(group, f"InstanceNorm{dims}d", partial(_settled, instance, affine=True), dims)
    yield vectors(group, "LayerNorm", lambda: settled(nn.LayerNorm(16)))
    yield vectors(group, "LayerNorm, no gain", lambda: nn.LayerNorm(16, elementwise_affine=False))
    yield maps(group, "LayerNorm over maps", lambda: nn.LayerNorm([8, 12, 12]))
    yield vectors(group, "RMSNorm", lambda: settled(nn.RMSNorm(16)))
    yield maps(group, "GroupNorm", lambda: settled(nn.GroupNorm(2, 8)))
    yield maps(group, "LocalResponseNorm", lambda: nn.LocalResponseNorm(3))
    yield maps(group, "CrossMapLRN2d by hand", lambda: nn.LocalResponseNorm(5, alpha=1e-3))
    yield function(group, "normalize", lambda x: F.normalize(x, dim=-1))
    yield function(group, "cosine_similarity", lambda x: x * F.cosine_similarity(x, x.roll(1, 1), dim=-1)[..., None])


def activations() -> Iterator[Row]:
    """Yield activations, between convolutions and between linear layers."""
    kinds: dict[str, Callable[[], nn.Module]] = {
        "ReLU": nn.ReLU,
        "ReLU6": nn.ReLU6,
        "LeakyReLU": nn.LeakyReLU,
        "RReLU": nn.RReLU,
        "ELU": nn.ELU,
        "SELU": nn.SELU,
        "CELU": nn.CELU,
        "GELU": nn.GELU,
        "GELU, tanh": lambda: nn.GELU(approximate="tanh"),
        "SiLU": nn.SiLU,
        "Mish": nn.Mish,
        "Hardswish": nn.Hardswish,
        "Hardsigmoid": nn.Hardsigmoid,
        "Hardtanh": nn.Hardtanh,
        "Hardshrink": nn.Hardshrink,
        "Softshrink": nn.Softshrink,
        "Tanhshrink": nn.Tanhshrink,
        "Softsign": nn.Softsign,
        "Softplus": nn.Softplus,
        "Sigmoid": nn.Sigmoid,
        "LogSigmoid": nn.LogSigmoid,
        "Tanh": nn.Tanh,
        "Threshold": lambda: nn.Threshold(0.1, 0.0),
    }
    for name, kind in kinds.items():
        yield maps("activation", name, kind)
        yield vectors("activation", f"{name}, vectors", kind)
    yield maps("activation", "PReLU", lambda: nn.PReLU(8))
    yield vectors("activation", "PReLU, one for all, vectors", nn.PReLU)
    yield maps("activation", "GLU", lambda: nn.GLU(1), channels=4)
    yield vectors("activation", "GLU, vectors", nn.GLU, width=8)
    for name, soft in {"Softmax": nn.Softmax, "Softmin": nn.Softmin, "LogSoftmax": nn.LogSoftmax}.items():
        yield vectors("activation", name, partial(soft, -1))
        yield vectors("activation", f"{name}, last", partial(soft, -1), last=False)
    yield maps("activation", "Softmax2d", nn.Softmax2d)


def pools() -> Iterator[Row]:
    """Yield pooling layers."""
    group = "pool"
    kinds = {
        1: (nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
        2: (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
        3: (nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
    }
    for dims, (largest, mean, adaptive, adaptive_largest) in kinds.items():
        yield maps(group, f"MaxPool{dims}d", partial(largest, 2), dims)
        yield maps(group, f"MaxPool{dims}d, padding", partial(largest, 3, 2, padding=1), dims)
        yield maps(group, f"MaxPool{dims}d, ceil mode", partial(largest, 3, 2, ceil_mode=True), dims)
        yield maps(group, f"MaxPool{dims}d, dilated", partial(largest, 2, 1, dilation=2), dims)
        yield maps(group, f"AvgPool{dims}d", partial(mean, 2), dims)
        yield maps(group, f"AvgPool{dims}d, ceil mode", partial(mean, 3, 2, ceil_mode=True), dims)
        yield maps(
            group,
            f"AvgPool{dims}d, padding not counted",
            partial(mean, 3, 2, padding=1, count_include_pad=False),
            dims,
        )
        yield maps(group, f"AdaptiveAvgPool{dims}d to 1", partial(adaptive, 1), dims)
        yield maps(group, f"AdaptiveAvgPool{dims}d to 3", partial(adaptive, 3), dims)
        yield maps(group, f"AdaptiveAvgPool{dims}d to 5", partial(adaptive, 5), dims)
        yield maps(group, f"AdaptiveMaxPool{dims}d to 3", partial(adaptive_largest, 3), dims)
    yield maps(group, "LPPool1d", lambda: nn.Sequential(nn.ReLU(), nn.LPPool1d(2, 2)), 1)
    yield maps(group, "LPPool2d", lambda: nn.Sequential(nn.ReLU(), nn.LPPool2d(2, 2)))


def pads() -> Iterator[Row]:
    """Yield padding layers."""
    group = "pad"
    for dims in PLACES:
        for kind in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
            yield maps(group, f"{kind}{dims}d", partial(getattr(nn, f"{kind}{dims}d"), 1), dims)
        yield maps(group, f"ConstantPad{dims}d", partial(getattr(nn, f"ConstantPad{dims}d"), 1, 0.7), dims)
    yield maps(group, "ZeroPad2d before ReLU", lambda: nn.Sequential(nn.ZeroPad2d(1), nn.ReLU()))
    yield maps(group, "ZeroPad2d, negative", lambda: nn.ZeroPad2d((-1, 1, 2, -2)))


def resizing() -> Iterator[Row]:
    """Yield layers that resize."""
    group = "resize"
    for dims, smooth in {1: "linear", 2: "bilinear", 3: "trilinear"}.items():
        yield maps(group, f"Upsample, nearest, {dims}-D", lambda: nn.Upsample(scale_factor=2), dims)
        yield maps(group, f"Upsample, {smooth}", partial(nn.Upsample, scale_factor=2, mode=smooth), dims)
        yield maps(
            group,
            f"Upsample, {smooth}, corners aligned",
            partial(nn.Upsample, scale_factor=2, mode=smooth, align_corners=True),
            dims,
        )
    yield maps(group, "Upsample, nearest, to a size", lambda: nn.Upsample(size=(20, 17)))
    yield maps(group, "Upsample, bilinear, to a size", lambda: nn.Upsample(size=(20, 17), mode="bilinear"))
    yield maps(group, "Upsample, bicubic", lambda: nn.Upsample(scale_factor=2, mode="bicubic"))
    yield function(group, "interpolate, area", lambda x: F.interpolate(x, size=(6, 6), mode="area"), 2)
    yield function(group, "interpolate, bilinear, smaller", lambda x: F.interpolate(x, size=(7, 5), mode="bilinear"), 2)
    yield maps(group, "PixelShuffle", lambda: nn.PixelShuffle(2), channels=2)
    yield maps(group, "PixelUnshuffle", lambda: nn.PixelUnshuffle(2), channels=32)
    yield maps(group, "ChannelShuffle", lambda: nn.ChannelShuffle(4))
    yield function(group, "unfold", lambda x: F.unfold(x, 3, padding=1).reshape(-1, 72, 12, 12), 2, channels=72)
    yield function(group, "fold", lambda x: F.fold(F.unfold(x, 2, stride=2), (12, 12), 2, stride=2), 2)
    yield function(group, "grid_sample", _sampled, 2)


def _sampled(x: Tensor) -> Tensor:
    line = torch.linspace(-0.9, 0.9, 12)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)[None].expand(x.shape[0], -1, -1, -1)
    return F.grid_sample(x, grid, align_corners=False)

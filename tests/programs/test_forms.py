"""What neither format, or one of them, has no form of is written as what both have, and computes the same."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgekit.spec import Format, Scheme
from tests.programs.on_device import on_device, ratio

pytestmark = pytest.mark.slow

# More than float rounding apart is another function.
SAME_DB = 100
VOLUME, PICTURE, SIGNAL, TOKENS = (2, 5, 7, 6), (3, 8, 9), (3, 11), (6, 8)


class Volumes(nn.Module):
    """A layer of volumes between two convolutions."""

    def __init__(self, layer: nn.Module, channels: int = 4) -> None:
        super().__init__()
        self.before, self.layer, self.after = nn.Conv3d(2, 4, 1), layer, nn.Conv3d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 2, 5, 7, 6) to (batch, 3, ...)."""
        y: Tensor = self.after(self.layer(self.before(x)))
        return y


class OnTokens(nn.Module):
    """A function behind a linear layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 6, 8)."""
        return self.function(self.layer(x))


class Products(nn.Module):
    """A bilinear layer of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.last = nn.Bilinear(8, 5, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map (batch, 8) and (batch, 5) to (batch, 4)."""
        found: Tensor = self.last(self.both(x, y).relu())
        return found


def settled(norm: nn.Module) -> nn.Module:
    """Return an instance norm with statistics as training leaves them."""
    assert isinstance(norm, nn.InstanceNorm2d)
    for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        assert tensor is not None
        with torch.no_grad():
            tensor.uniform_(0.5, 1.5)
    return norm


def transposed() -> nn.Module:
    """Return one with all that a transposed convolution can have."""
    return nn.ConvTranspose3d(4, 6, (3, 2, 3), (2, 1, 3), (1, 0, 2), (1, 0, 1), groups=2, dilation=(1, 2, 1))


FORMS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "means of uneven parts": (lambda: Volumes(nn.AdaptiveAvgPool3d((3, 2, 5))), (VOLUME,)),
    "means of some sizes": (lambda: Volumes(nn.AdaptiveAvgPool3d((None, 7, 4))), (VOLUME,)),
    "largest of uneven parts": (lambda: Volumes(nn.AdaptiveMaxPool3d((2, 3, 4))), (VOLUME,)),
    "largest of even parts": (lambda: Volumes(nn.AdaptiveMaxPool3d((5, 1, 2))), (VOLUME,)),
    "largest of a picture's parts": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveMaxPool2d((5, 4)), nn.Conv2d(4, 2, 1)),
        (PICTURE,),
    ),
    "largest of more parts": (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveMaxPool2d((8, 12))), (PICTURE,)),
    "largest of a signal's parts": (lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.AdaptiveMaxPool1d(4)), (SIGNAL,)),
    "means rounded up": (lambda: Volumes(nn.AvgPool3d(3, 2, 1, ceil_mode=True)), (VOLUME,)),
    "means of what is there": (
        lambda: Volumes(nn.AvgPool3d((3, 2, 3), 2, (1, 1, 0), ceil_mode=True, count_include_pad=False)),
        (VOLUME,),
    ),
    "means with a divisor": (lambda: Volumes(nn.AvgPool3d(2, padding=1, divisor_override=5)), (VOLUME,)),
    "means of pictures with a divisor": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.AvgPool2d((2, 3), padding=1, divisor_override=2)),
        (PICTURE,),
    ),
    "largest rounded up": (lambda: Volumes(nn.MaxPool3d(2, 2, 1, ceil_mode=True)), (VOLUME,)),
    "largest of a picture rounded up": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True)),
        (PICTURE,),
    ),
    "largest of a signal rounded up": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.MaxPool1d(2, 2, 1, ceil_mode=True)),
        (SIGNAL,),
    ),
    "transposed volumes": (lambda: Volumes(transposed(), 6), (VOLUME,)),
    "transposed volumes, plain": (lambda: Volumes(nn.ConvTranspose3d(4, 4, 2, bias=False)), (VOLUME,)),
    "even kernel of volumes": (lambda: Volumes(nn.Conv3d(4, 4, (4, 3, 2), padding="same")), (VOLUME,)),
    "bilinear": (Products, ((8,), (5,))),
    "instance norm of training": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 1), settled(nn.InstanceNorm2d(4, affine=True, track_running_stats=True)), nn.Dropout2d()
        ),
        (PICTURE,),
    ),
}


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str, format: Format) -> None:
    """In both formats, in one delegate; the twin has the answers of other samples."""
    torch.manual_seed(0)
    make, shapes = FORMS[name]
    found = on_device(make(), *shapes, format=format)
    assert found.db > SAME_DB
    assert found.wrong_db < 10
    if format is Format.PTE:
        assert found.delegates == 1
        assert found.artifact.operators == ()


ORDERED: dict[str, Callable[[Tensor], Tensor]] = {
    "medians of an even number": lambda x: x.median(1)[0],
    "medians of an odd number": lambda x: x[:, :5].median(1, keepdim=True).values,
    "the third": lambda x: x.kthvalue(3, 1)[0],
    "the second, kept": lambda x: x.kthvalue(2, -1, keepdim=True)[0],
    "by its place": lambda x: x.gather(2, x.median(2, keepdim=True)[1]),
    "in order": lambda x: x.sort(1)[0] * x.sort(-1, descending=True).values + x.gather(2, x.argsort(2)),
    "in stable order": lambda x: x * torch.sort(x, dim=1, stable=True)[1] + torch.sort(x, dim=2, stable=True)[0],
    "a quantile": lambda x: torch.quantile(x, 0.3, dim=1, keepdim=True) + torch.quantile(x, 1.0, dim=2)[..., None],
    "in buckets": lambda x: x + torch.bucketize((x * 3).round(), torch.arange(-3.0, 4)),
    "in buckets from the right": lambda x: x * torch.bucketize(x, torch.tensor([-0.5, 0.0, 0.2]), right=True),
    "among the others": lambda x: x + torch.searchsorted(x.abs().cumsum(-1), x.abs() + 0.2, side="right"),
}


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("name", ORDERED)
def test_values_by_their_order(name: str, format: Format) -> None:
    """The runtime's own kernel sorts them."""
    torch.manual_seed(0)
    found = on_device(OnTokens(ORDERED[name]), TOKENS, format=format, batch="batch")
    assert found.db > SAME_DB
    assert found.wrong_db < 10


ELEMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "functions": lambda x: torch.erfc(x) + torch.exp2(x) * torch.hypot(x, x.roll(1, 1)),
    "running": lambda x: x.cummax(1)[0] + (x.tanh() + 1.5).cumprod(2) + x.cummin(-1).values,
}


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("name", ELEMENTS)
def test_functions(name: str, format: Format) -> None:
    """Of elements, and of what came before them."""
    torch.manual_seed(0)
    found = on_device(OnTokens(ELEMENTS[name]), TOKENS, format=format)
    assert found.db > SAME_DB
    assert found.wrong_db < 10


def test_a_bilinear_layer_is_quantized() -> None:
    """Its weights compute with integers, and what it multiplies afterwards is not rounded once more."""
    torch.manual_seed(0)
    found = on_device(Products(), (8,), (5,), scheme=Scheme.INT8)
    assert found.delegates == 1
    assert found.db > min(ratio(found.reference[0], found.simulated[0]) - 1, 30)
    assert found.wrong_db < 10


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_places_of_uneven_parts_are_refused_by_name(format: Format) -> None:
    """They are no maximum alone."""
    from edgekit.errors import LowerError

    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveMaxPool2d((5, 4), return_indices=True))
    with pytest.raises(LowerError, match="adaptive_max_pool2d"):
        on_device(_Places(model), PICTURE, format=format)


class _Places(nn.Module):
    """The places of the largest values, as numbers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 4, 5, 4)."""
        values, places = self.model(x)
        found: Tensor = values + places.float()
        return found

"""What XNNPACK lacks is written as what it has: one delegate, the same numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.spec import Format, Scheme
from tests.programs.architectures import PNet, SqueezeNet, VisionTransformer, Window
from tests.programs.on_device import OnDevice, on_device, ratio

pytestmark = pytest.mark.slow

PICTURE, SIGNAL, TOKENS, VOLUME = (3, 8, 8), (4, 12), (6, 8), (2, 5, 6, 6)
# More than float rounding apart is another function.
SAME_DB = 100


class Behind(nn.Module):
    """A function of what a layer gives, so that there is something to delegate."""

    def __init__(self, layer: nn.Module, function: Callable[[Tensor], Tensor], more: nn.Module | None = None) -> None:
        super().__init__()
        self.layer, self.function, self.more = layer, function, more

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of the layer of x."""
        y: Tensor = self.function(self.layer(x))
        return y if self.more is None else self.more(y)


def convolution() -> nn.Module:
    """Return a convolution of pictures, behind which values lie by channel."""
    return nn.Conv2d(3, 4, 3, padding=1)


def write_over(x: Tensor, values: Tensor) -> Tensor:
    """Write to parts of a copy of pictures, as the heads of detectors do: values, rows of others, one number."""
    y = x.clone()
    y[:, :2, 1:4] = values
    y[:, 3] = x[:, 0] + 1
    y[..., -1] = 0.5
    return y


OF_PICTURES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax over the width": lambda x: x.softmax(-1),
    "softmax over channels": lambda x: x.softmax(1),
    "gelu by tanh": lambda x: functional.gelu(3 * x, approximate="tanh"),
    "elu": lambda x: functional.elu(x, 0.7),
    "selu": functional.selu,
    "celu": lambda x: functional.celu(x, 0.7),
    "softplus": lambda x: functional.softplus(x * 9, 2.0),
    "mish": functional.mish,
    "log sigmoid": lambda x: functional.logsigmoid(x * 9),
    "softsign": functional.softsign,
    "softshrink": functional.softshrink,
    "hardsigmoid": functional.hardsigmoid,
    "glu": lambda x: functional.glu(x, 1),
    "rrelu": functional.rrelu,
    "max pool rounded up": lambda x: functional.max_pool2d(x, 3, 2, ceil_mode=True),
    "mean pool rounded up": lambda x: functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "mean pool with padding": lambda x: functional.avg_pool2d(x, 3, 2, 1),
    "mean pool without padding": lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "adaptive pool": lambda x: functional.adaptive_avg_pool2d(x, (4, 2)),
    "adaptive pool of uneven parts": lambda x: functional.adaptive_avg_pool2d(x, (5, 3)),
    "adaptive maximum": lambda x: functional.adaptive_max_pool2d(x, 2),
    "reflected": lambda x: functional.pad(x, (1, 2, 2, 1), mode="reflect"),
    "edge": lambda x: functional.pad(x, (1, 2, 2, 1), mode="replicate"),
    "circular": lambda x: functional.pad(x, (1, 2, 2, 1), mode="circular"),
    "cropped": lambda x: functional.pad(x, (-1, 2, 2, -3)),
    "rolled": lambda x: x.roll((2, -1), (2, 3)),
    "flipped": lambda x: x.flip(-1),
    "flipped, long": lambda x: x.flatten(2)[:, :, :63].flip(1, -1),
    "reflected, wide": lambda x: functional.pad(x.flatten(2), (33, 62), mode="reflect"),
    "frames": lambda x: x.flatten(2).unfold(-1, 10, 4)[:, :, 1:],
    "frames of rows": lambda x: x.unfold(2, 3, 2).unfold(3, 2, 3),
    "frames with gaps": lambda x: x.flatten(2).unfold(2, 3, 7),
    "by a matrix": lambda x: x @ torch.linspace(-1, 1, 24).view(8, 3),
    "all of it": lambda x: x[:, :4].sigmoid()[..., :99].detach() + x[:, :, :8],
    "every third": lambda x: x[:, :, ::2, 1::3],
    "chunks": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "stacked": lambda x: torch.stack([x[:, 0], x[:, 2]], 1),
    "gathered": lambda x: x[:, [2, 0, 1]],
    "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "enlarged": lambda x: functional.interpolate(x, scale_factor=2.0, mode="nearest"),
    "bicubic": lambda x: functional.interpolate(x, size=(12, 10), mode="bicubic"),
    "normalised": lambda x: functional.normalize(x, dim=1),
    "variance": lambda x: x.var(1),
    "sum": lambda x: x.sum((1, 3)),
    "mean over channels": lambda x: x.mean(1),
    "largest": lambda x: x.amax((2, 3)),
    "root": lambda x: (x * x + 1) ** -0.75,
    "whole numbers": lambda x: (x * 2 + 1) / 3,
    "beside a grid": lambda x: x * torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="xy")).sum(0),
    "written over": lambda x: write_over(x, 2 * x[:, :2, 1:4]),
    "logarithms of softmax": lambda x: torch.cat([(x * 20 + 900).log_softmax(1), x.log_softmax(-1)], 1),
    "logarithms of sums": lambda x: (
        torch.logsumexp(x * 30, (2, 3), keepdim=True)
        + x.masked_fill(torch.arange(8) < 3, -torch.inf).logsumexp(-1)[..., None]
    ),
    "extremes": lambda x: torch.cat([x.max(1, keepdim=True)[0], x.amin(1, keepdim=True), x.min(2)[0][:, :1, None]], 2),
    "lengths": lambda x: (
        x.std(1) * functional.cosine_similarity(x, 1 - x, 1) + functional.pairwise_distance(x, x * x)[:, :1]
    ),
    "elements": lambda x: torch.cat([3 * x.erf(), x.sign(), 1 / (x.abs() + 0.3), x.cumsum(2) + x.cumsum(1)], 1),
    "sums with factors": lambda x: torch.lerp(x, x * x, 0.3) + torch.add(1 - x, x, alpha=2) - torch.addcmul(x, x, x),
    "places": lambda x: functional.affine_grid(x[:, :, :2, :3].mean(1), [len(x), 1, 5, 4], align_corners=False),
    "repeated": lambda x: functional.interpolate(x.repeat(1, 2, 1, 3), size=(11, 13), mode="nearest"),
    "by a factor": lambda x: functional.interpolate(x, scale_factor=1.7, mode="bilinear"),
    "a signal enlarged": lambda x: functional.interpolate(x.flatten(2), scale_factor=0.37, mode="linear"),
    "in part, divided": lambda x: torch.where(torch.arange(8) > 3, x / torch.tensor(1.7), torch.zeros_like(x)),
    "in part": lambda x: torch.where(torch.arange(8) > 3, x, torch.zeros_like(x)),
}  # fmt: skip


def check(found: OnDevice, at_least: float = SAME_DB) -> None:
    """Hold a file to one delegate and the numbers of torch; the twin has the rows in the wrong order."""
    assert found.artifact.operators == ()
    assert found.delegates == 1
    assert found.db > at_least
    assert found.wrong_db < 10


@pytest.mark.parametrize("name", OF_PICTURES)
def test_functions_of_pictures(name: str) -> None:
    """Behind a convolution, whose values lie in memory by channel."""
    torch.manual_seed(0)
    check(on_device(Behind(convolution(), OF_PICTURES[name]), PICTURE))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "layer norm of pictures": (lambda: nn.Sequential(convolution(), nn.LayerNorm([4, 8, 8])), PICTURE),
    "group norm": (lambda: nn.Sequential(convolution(), nn.GroupNorm(2, 4)), PICTURE),
    "instance norm": (lambda: nn.Sequential(convolution(), nn.InstanceNorm2d(4, affine=True)), PICTURE),
    "local response": (lambda: nn.Sequential(convolution(), nn.LocalResponseNorm(3)), PICTURE),
    "root mean square": (lambda: nn.Sequential(nn.Linear(8, 8), nn.RMSNorm(8)), TOKENS),
    "one slope": (lambda: nn.Sequential(nn.Linear(8, 8), nn.PReLU()), TOKENS),
    "slopes": (lambda: nn.Sequential(nn.Conv1d(4, 8, 3), nn.PReLU(8)), SIGNAL),
    "max pool of signals": (lambda: nn.Sequential(nn.Conv1d(4, 8, 3), nn.MaxPool1d(3, 2, ceil_mode=True)), SIGNAL),
    "mean pool of signals": (lambda: nn.Sequential(nn.Conv1d(4, 8, 3), nn.AvgPool1d(3, 2, 1)), SIGNAL),
    "mean of signals": (lambda: nn.Sequential(nn.Conv1d(4, 8, 3), nn.AdaptiveAvgPool1d(1)), SIGNAL),
    "transposed by groups": (lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 4, 2, 1, groups=2)), SIGNAL),
    "volumes": (lambda: nn.Conv3d(2, 4, (3, 2, 3), (2, 1, 2), (1, 0, 1), (1, 2, 1), groups=2), VOLUME),
    "pools of volumes": (lambda: nn.Sequential(nn.Conv3d(2, 4, 1), nn.MaxPool3d(2, 1, 1), nn.AvgPool3d(2)), VOLUME),
    "transformer": (lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)), TOKENS),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    """Layers of signals, tokens and volumes."""
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    check(on_device(make(), shape))


INT8: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "gelu by tanh": (lambda: Behind(convolution(), OF_PICTURES["gelu by tanh"], nn.Conv2d(4, 4, 3)), PICTURE),
    "slope behind linear": (lambda: nn.Sequential(nn.Linear(8, 16), nn.PReLU(), nn.Linear(16, 4)), (8,)),
    "softplus": (lambda: nn.Sequential(convolution(), nn.Softplus(), nn.Conv2d(4, 4, 3)), PICTURE),
    "transposed": (
        lambda: nn.Sequential(nn.Conv1d(4, 8, 3), nn.ConvTranspose1d(8, 8, 4, 2, 1, groups=4), nn.Conv1d(8, 4, 3)),
        SIGNAL,
    ),
    "volumes": (lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 3)), VOLUME),
    "padded": (lambda: nn.Sequential(convolution(), nn.ReflectionPad2d(1), nn.ReLU(), nn.Conv2d(4, 4, 3)), PICTURE),
    "rounded up": (lambda: nn.Sequential(convolution(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()), PICTURE),
    "squeeze": (SqueezeNet, (3, 33, 33)),
    "patches": (VisionTransformer, (3, 16, 16)),
    "windows": (Window, (4, 4, 8)),
}


@pytest.mark.parametrize("name", INT8)
def test_int8_is_what_the_program_says(name: str) -> None:
    """Rewritten after quantization: one delegate, and not further from torch than the quantized program is."""
    torch.manual_seed(0)
    make, shape = INT8[name]
    found = on_device(make(), shape, scheme=Scheme.INT8)
    assert found.artifact.operators == ()
    assert found.delegates == 1
    assert found.db > min(ratio(found.reference[0], found.simulated[0]) - 2, 30)
    assert found.wrong_db < 10


LAST_OF_SIGNALS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv1d(8, 4, 3, stride=2, padding=1),
    "same": lambda: nn.Conv1d(8, 4, 3, padding="same", dilation=2, bias=False),
    "grouped": lambda: nn.Conv1d(8, 4, 1, groups=4),
    "transposed": lambda: nn.ConvTranspose1d(8, 4, 3, stride=2, output_padding=1),
    "transposed by groups": lambda: nn.ConvTranspose1d(8, 4, 3, groups=2, dilation=2),
}


@pytest.mark.parametrize("batch", [1, "batch"])
@pytest.mark.parametrize("name", LAST_OF_SIGNALS)
def test_signals_in_float_behind_int8(name: str, batch: int | str) -> None:
    """As the last layer often is: the delegate takes it, too, and the program's answers come out."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), LAST_OF_SIGNALS[name]())
    found = on_device(model, SIGNAL, scheme=Scheme.INT8, batch=batch, float_layers=("2",))
    assert found.artifact.operators == ()
    assert found.artifact.batch is None
    assert ratio(found.simulated[0], found.answers[0]) > 40
    assert found.wrong_db < 10


@pytest.mark.parametrize(
    ("make", "shape"),
    [(SqueezeNet, (3, 33, 33)), (PNet, (3, 25, 25)), (VisionTransformer, (3, 16, 16)), (Window, (4, 4, 8))],
    ids=["squeeze", "faces", "patches", "windows"],
)
def test_networks_are_one_delegate(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    """And the float network to the last digits."""
    torch.manual_seed(0)
    check(on_device(make(), shape))


def test_any_number_of_samples_costs_no_delegate() -> None:
    """Where it would, the file takes one sample; where it does not, any number."""
    torch.manual_seed(0)
    fixed = on_device(PNet(), (3, 25, 25), batch="batch")
    check(fixed)
    assert fixed.artifact.batch == 1
    free = on_device(nn.Sequential(convolution(), nn.GroupNorm(2, 4)), PICTURE, batch="batch")
    check(free)
    assert free.artifact.batch is None


def _three(x: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(x, x[:, :5], x[:, :5])


ATTENTION: dict[str, Callable[[Tensor], Tensor]] = {
    "three dimensions": _three,
    "masked": lambda x: functional.scaled_dot_product_attention(x, x, x, (torch.arange(6) < 4)[None]),
    "a mask for each": lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=x[:, :, :6] * 3),
    "causal": lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.5),
    "four dimensions": lambda x: _three(x.view(-1, 1, 6, 8)).flatten(1),
    "five dimensions": lambda x: _five(x.view(-1, 1, 2, 3, 8)).flatten(1),
}


def _five(x: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(x, x, x).relu()


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("name", ATTENTION)
def test_attention_of_any_rank(name: str, format: Format) -> None:
    """With one head, of which nothing is said, or with more in front."""
    torch.manual_seed(0)
    found = on_device(Behind(nn.Linear(8, 8), ATTENTION[name]), TOKENS, batch="batch", format=format)
    assert found.db > SAME_DB
    assert found.wrong_db < 10


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_distances_of_any_number_of_samples(power: float, format: Format) -> None:
    """Torch has two ways to compute them, for few and for many, and would fix the number by choosing one."""
    torch.manual_seed(0)
    centres = torch.randn(5, 8)
    model = Behind(nn.Linear(4, 8), lambda x: torch.cdist(x, centres, p=power))
    found = on_device(model, (4,), batch="batch", format=format)
    assert found.db > SAME_DB
    assert found.wrong_db < 10


class Masked(nn.Module):
    """Attention under a mask: known or an input, of truth values or added; all of it may be masked for a row."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.qkv = nn.Linear(8, 24)
        allowed = torch.rand(6, 6) > 0.4
        allowed[0] = False
        self.register_buffer("allowed", allowed)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return (batch, 6, 8) of tokens (batch, 6, 8) and a mask (batch, 6), positive where a token counts."""
        assert isinstance(self.allowed, Tensor)
        query, key, value = self.qkv(x).view(-1, 6, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        if self.kind == "filled":
            scores = query @ key.transpose(-2, -1) + mask[:, None, None] * 0
            mixed = scores.masked_fill(~self.allowed[1], float("-inf")).softmax(-1) @ value
        else:
            given = {
                "causal": None,
                "known": self.allowed,
                "known numbers": torch.zeros(6, 6).masked_fill(~self.allowed, float("-inf")),
                "truth": (mask > 0)[:, None, None].expand(-1, -1, 6, -1),
                "infinities": torch.zeros_like(mask).masked_fill(mask <= 0, -torch.inf)[:, None, None],
                "numbers": (torch.clamp(mask, max=0) * 1e4)[:, None, None].expand(-1, -1, 6, -1),
            }[self.kind]
            causal = self.kind == "causal"
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=given, is_causal=causal)
        mixed = mixed + mask[:, None, :, None] * 0.01
        tokens: Tensor = mixed.transpose(1, 2).reshape(-1, 6, 8)
        return tokens


@pytest.mark.parametrize("kind", ["causal", "known", "known numbers", "truth", "infinities", "numbers", "filled"])
def test_masks(kind: str) -> None:
    """Rows of which all is masked are zero, as torch has it; nothing of the search for them is left."""
    torch.manual_seed(0)
    found = on_device(Masked(kind), (6, 8), (6,))
    assert not {"aten::any.out", "aten::logical_not.out", "aten::where.self_out"} & set(found.artifact.operators)
    assert found.delegates <= (2 if kind in ("truth", "infinities") else 1)
    assert found.db > SAME_DB
    assert found.wrong_db < 10

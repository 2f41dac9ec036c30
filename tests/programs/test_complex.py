"""Complex numbers are pairs of real ones: the same numbers, in both formats, without a complex operation left."""

import functools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from edgekit.errors import CaptureError
from edgekit.model.pairs import without_complex
from edgekit.spec import Format, Scheme
from tests.programs.on_device import on_device, ratio

pytestmark = pytest.mark.slow

# More than float rounding apart is another function.
SAME_DB = 100
as_real, as_complex = torch.view_as_real, torch.view_as_complex
Function = Callable[[Tensor], Tensor]


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Call it."""
        return self.function(x)


def written(function: Function, x: Tensor) -> ExportedProgram:
    """Return the program of a function of any number of rows, without complex numbers."""
    shapes = ({0: Dim("batch", min=1, max=4096)},)
    again = functools.partial(export, args=(x,), dynamic_shapes=shapes, strict=False)
    return without_complex(again(Called(function).eval()), again)


def check(function: Function, x: Tensor) -> None:
    """Hold a program to torch, to float rounding; the twin has the rows in the wrong order."""
    program = written(function, x)
    values = [node.meta.get("val") for node in program.graph.nodes]
    assert not any(isinstance(value, Tensor) and value.is_complex() for value in values)
    wanted, answer = function(x), program.module(check_guards=False)(x)
    assert answer.shape == wanted.shape
    assert ratio(wanted.numpy(), answer.numpy()) > SAME_DB
    assert ratio(wanted.numpy(), answer.flip(0).numpy()) < 20


LENGTHS = [(2, "backward"), (7, "ortho"), (128, "forward"), (131, "backward"), (256, "ortho"), (1000, "forward")]


@pytest.mark.parametrize(("length", "norm"), LENGTHS)
def test_transforms_of_any_length(length: int, norm: str) -> None:
    """Of primes, of products, of powers of two, odd and even, there and back in one program."""
    torch.manual_seed(0)
    signal, spectrum = torch.randn(3, length), torch.randn(3, length, 2)
    check(lambda x: as_real(torch.fft.rfft(x, norm=norm)), signal)
    check(lambda x: torch.fft.irfft(2 * torch.fft.rfft(x, norm=norm), n=length, norm=norm), signal)
    check(lambda x: as_real(torch.fft.ifft(torch.fft.fft(as_complex(x)) * 1j, norm=norm)), spectrum)
    check(lambda x: torch.fft.irfft(as_complex(x), norm=norm), spectrum)


@settings(max_examples=8, deadline=None)
@given(length=st.integers(1, 300), wanted=st.integers(1, 300), real=st.booleans())
def test_transforms_cut_and_fill(length: int, wanted: int, real: bool) -> None:
    """``n`` cuts a signal off, or fills it up with noughts."""
    torch.manual_seed(length)
    transform = torch.fft.rfft if real else torch.fft.fft
    check(lambda x: as_real(transform(x, n=wanted, dim=1)), torch.randn(3, length, 2))


SEVERAL: dict[str, Function] = {
    "all but the first": lambda x: torch.fft.fftn(x, dim=(1, 2, 3)).abs(),
    "two": lambda x: as_real(torch.fft.rfft2(x, dim=(1, 3), norm="forward")),
    "of other sizes": lambda x: as_real(torch.fft.rfftn(x, s=(5, 7), dim=(2, 3))),
    "there and back": lambda x: torch.fft.irfftn(torch.fft.rfftn(x, dim=(1, 2)) * (1 - 2j), s=(6, 8), dim=(1, 2)),
    "shifted": lambda x: as_real(torch.fft.ifftshift(torch.fft.fftshift(torch.fft.fft2(x), dim=(2, 3)) * x, dim=(3,))),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_transforms_of_several_dimensions(name: str) -> None:
    """The real one is the last."""
    torch.manual_seed(0)
    check(SEVERAL[name], torch.randn(2, 6, 8, 9))


FRAMES: dict[str, dict[str, object]] = {
    "plain": {"n_fft": 128, "window": torch.ones(128)},
    "speech": {"n_fft": 400, "hop_length": 160, "window": torch.hann_window(400)},
    "narrow window": {"n_fft": 256, "hop_length": 100, "win_length": 200, "window": torch.hann_window(200)},
    "normalised": {"n_fft": 64, "normalized": True, "window": torch.hamming_window(64)},
    "both sides": {"n_fft": 64, "onesided": False, "window": torch.hann_window(64)},
}


@pytest.mark.parametrize("name", FRAMES)
def test_spectrograms_and_back(name: str) -> None:
    """``torch.stft`` and ``torch.istft``, as audio models have them."""
    torch.manual_seed(0)
    sound, keys = torch.randn(2, 900), FRAMES[name]

    def spectrum(x: Tensor) -> Tensor:
        return torch.stft(x, return_complex=True, **keys)  # type: ignore[arg-type]

    check(lambda x: as_real(spectrum(x)), sound)
    check(lambda x: torch.istft(spectrum(x) * (1 + 0.5j), length=900, **keys), sound)  # type: ignore[arg-type]
    check(lambda x: torch.istft(spectrum(x), **keys), sound)  # type: ignore[arg-type]


def test_spectrograms_off_the_centre() -> None:
    """Without padding, and with noughts; the window is made while the model runs."""
    torch.manual_seed(0)
    sound = torch.randn(2, 500)
    check(lambda x: torch.stft(x, 64, 16, window=torch.hann_window(64), center=False, return_complex=True).abs(), sound)
    check(lambda x: torch.stft(x, 50, window=torch.ones(50), pad_mode="constant", return_complex=True).abs(), sound)
    check(lambda x: torch.stft(x, 64, window=torch.ones(64), return_complex=False), sound)


TURNS = torch.polar(torch.ones(5), torch.arange(5.0))
ARITHMETIC: dict[str, Function] = {
    "sums and products": lambda x: as_real((as_complex(x) * as_complex(x).conj() + 2 - 1j) * (1 - as_complex(x))),
    "quotients": lambda x: as_real(as_complex(x) / (as_complex(x) + 3) - 1 / as_complex(x) + as_complex(x) / 4),
    "powers": lambda x: as_real(as_complex(x) ** 3 + as_complex(x).square()),
    "exponentials": lambda x: as_real(torch.exp(1j * x[..., 0]) + torch.exp(as_complex(x))),
    "polar": lambda x: as_real(torch.polar(as_complex(x).abs(), as_complex(x).angle() / 2)),
    "matrices": lambda x: as_real(as_complex(x) @ as_complex(x).transpose(1, 2)),
    "equations": lambda x: as_real(torch.einsum("bij,bkj->bik", as_complex(x), as_complex(x).conj())),
    "beside real ones": lambda x: as_real(torch.cat([as_complex(x), x[..., :1, 0].to(torch.complex64)], 2).sum(1)),
    "parts": lambda x: as_complex(x).real + as_complex(x).imag * as_complex(x).chunk(2, 1)[1].real.sum(1, True),
    "spread": lambda x: as_real(x[..., 0] + as_complex(x)[:, :1] + torch.complex(x[..., 0], x[..., 1])[:, :, :1]),
    "padded": lambda x: as_real(nn.functional.pad(as_complex(x), (1, 2)).roll(1, 2)[:, 1:]),
    "turned": lambda x: as_real(as_complex(x) * TURNS),
    "turned by what is made": lambda x: as_real(as_complex(x) * torch.exp(-0.3j * torch.arange(5.0))),
}  # fmt: skip


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name: str) -> None:
    """Of two values, of one, and beside real ones."""
    torch.manual_seed(0)
    check(ARITHMETIC[name], torch.randn(4, 6, 5, 2))


def test_what_has_no_form_is_refused_with_its_line() -> None:
    """And a way out; a complex answer, too."""
    with pytest.raises(CaptureError, match=r"sqrt.*test_complex.py:\d+") as refused:
        written(lambda x: as_real(torch.sqrt(as_complex(x))), torch.randn(4, 2))
    assert "real and the imaginary part" in str(refused.value.hint)
    with pytest.raises(CaptureError, match="returns complex numbers"):
        written(torch.fft.fft, torch.randn(4, 6))


class Rotary(nn.Module):
    """Positions as turns, as the first Llama has them: a complex buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.last = nn.Linear(16, 16), nn.Linear(16, 6)
        angles = torch.outer(torch.arange(10.0), 1 / 100 ** (torch.arange(0, 8, 2) / 8))
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 10, 16) to (batch, 10, 6)."""
        assert isinstance(self.turns, Tensor)
        turned = as_complex(self.query(x).view(-1, 10, 2, 4, 2)) * self.turns[:, None]
        found: Tensor = self.last(as_real(turned).flatten(2))
        return found


class Denoiser(nn.Module):
    """A mask of the spectrogram, as speech enhancement has it."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Linear(33, 33)
        self.register_buffer("window", torch.hann_window(64))

    def forward(self, x: Tensor) -> Tensor:
        """Map a sound (batch, 512) to one."""
        assert isinstance(self.window, Tensor)
        spectrum = torch.stft(x, 64, 16, window=self.window, return_complex=True)
        gates = torch.sigmoid(self.gates(spectrum.abs().transpose(1, 2)).transpose(1, 2))
        return torch.istft(spectrum * gates, 64, 16, window=self.window, length=512)


class Recogniser(nn.Module):
    """Logarithms of a spectrogram, as classifiers of sounds begin."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(65, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Map a sound (batch, 1024) to (batch, 4)."""
        bins = torch.stft(x, 128, 64, window=torch.hann_window(128), return_complex=True).abs().square()
        found: Tensor = self.last(self.first(torch.log(bins + 1e-5)).relu().mean(-1))
        return found


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "rotary": (Rotary, (10, 16)),
    "denoiser": (Denoiser, (512,)),
    "recogniser": (Recogniser, (1024,)),
}


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, format: Format) -> None:
    """One delegate, and the numbers of torch; quantized, the transforms stay what they are."""
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    model = make()
    found = on_device(model, shape, format=format)
    assert found.db > SAME_DB - 10
    assert found.wrong_db < 10
    rounded = on_device(model, shape, format=format, scheme=Scheme.INT8)
    assert rounded.db > 30
    for one in (found, rounded):
        assert format is Format.ONNX or (one.delegates, one.artifact.operators) == (1, ())

"""Operations that move integers keep their steps: what the delegate takes can be loaded, and computes the program."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.rows import whole
from edgekit.data.samples import Samples
from edgekit.execution import artifact as runs
from edgekit.lowering import pte
from edgekit.model.narrow import source_with_batch
from edgekit.spec import Cpu, Format, PteSettings, Scheme
from tests.programs.networks import quantized

pytestmark = pytest.mark.slow
functional = nn.functional
pad = functional.pad


class Between(nn.Module):
    """A function between two convolutions, or behind the first."""

    def __init__(self, function: Callable[[Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.function = function
        self.last = nn.Conv2d(channels, 6, 3) if channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of x (batch, 3, 10, 10)."""
        result: Tensor = self.last(self.function(torch.relu(self.first(x))))
        return result


def signal_to_noise(function: Callable[[Tensor], Tensor], channels: int, scheme: Scheme = Scheme.INT8) -> float:
    """Return the SQNR of the .pte against its program, whose last rows are held against the first for a twin."""
    torch.manual_seed(0)
    model = Between(function, channels).eval()
    with torch.no_grad():
        size = tuple(model(torch.zeros(16, 3, 10, 10)).shape[1:])
    program = quantized(model, {"x": (3, 10, 10)}, {"y": size}, scheme)
    noise = np.random.default_rng(1).normal(size=(32, 3, 10, 10)).astype(np.float32)
    with torch.no_grad():
        expected = program.program.module(check_guards=False)(torch.from_numpy(noise)).double().numpy()
    artifact = pte.lower(program, PteSettings())
    source = source_with_batch(program.captured.source, artifact.batch)
    opened = runs.open_artifact(Format.PTE, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
    found = whole(opened.run(Samples(inputs={"x": noise}), artifact.batch or 32)["y"])

    def ratio(values: np.ndarray) -> float:
        return float(10 * np.log10(np.square(expected).sum() / max(np.square(expected - values).sum(), 1e-30)))

    assert ratio(found[::-1]) < 20
    return ratio(found)


PADS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "before a clamp": (lambda y: torch.relu(pad(y, (1, 1, 1, 1))), 8),
    "before ReLU6": (lambda y: functional.relu6(pad(y, (2, 0, 1, 1))), 8),
    "at the end": (lambda y: pad(y, (1, 2, 1, 1)), 0),
    "read twice": (lambda y: pad(y, (1, 1, 1, 1)) * pad(y, (1, 1, 1, 1)).relu(), 8),
    "before a sum": (lambda y: pad(y, (1, 1, 1, 1)) + 1, 8),
    "of channels": (lambda y: pad(y, (0, 0, 0, 0, 2, 2)), 12),
    "before a pool": (lambda y: functional.max_pool2d(pad(y, (1, 1, 1, 1)), 2), 8),
    "behind a pad": (lambda y: pad(pad(y, (1, 1)), (0, 0, 1, 1)).relu(), 8),
    "before a mean": (lambda y: pad(y, (1, 1, 1, 1)).mean((2, 3)), 0),
    "in a cat": (lambda y: torch.cat([pad(y, (1, 1)), pad(y, (2, 0))], 1), 16),
    "of a value": (lambda y: pad(y, (1, 1, 1, 1), value=0.5).relu(), 8),
    "that cuts off": (lambda y: pad(y, (-1, 2, 1, -2)).relu(), 8),
}


@pytest.mark.parametrize("name", PADS)
def test_pads_are_lowered_wherever_they_stand(name: str) -> None:
    """A pad of integers is taken for one that a convolution reads, and most are not."""
    assert signal_to_noise(*PADS[name]) > 40


def test_a_pad_that_cuts_off_is_lowered_in_float() -> None:
    """There is no kernel for it in any type."""
    assert signal_to_noise(*PADS["that cuts off"], Scheme.FLOAT) > 90


MOVES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "pool": (lambda y: functional.max_pool2d(y, 2), 8),
    "pool with padding": (lambda y: functional.max_pool2d(y, 3, 1, 1), 8),
    "slice": (lambda y: y[:, 2:6, 1:], 4),
    "transposed": (lambda y: y.transpose(2, 3), 8),
    "reshaped": (lambda y: y.reshape(-1, 4, 16, 8), 4),
    "joined": (lambda y: torch.cat([y * 3, y, y + 2], 1), 24),
    "six joined": (lambda y: torch.cat([y * (3 * k + 1) for k in range(6)], 1), 48),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_keep_their_values(name: str) -> None:
    """Each of these has the same steps on both sides in XNNPACK, and other ones in a program."""
    assert signal_to_noise(*MOVES[name]) > 35

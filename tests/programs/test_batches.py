"""One load of a file answers any order of batches as it answers one row at a time: larger, smaller, the same again."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.rows import Array, whole
from edgekit.data.samples import Samples
from edgekit.execution import artifact as runs
from edgekit.lowering import pte
from edgekit.model.program import Quantized
from edgekit.spec import Cpu, Format, PteSettings, Scheme
from tests.programs.networks import quantized

pytestmark = pytest.mark.slow

ORDERS = ((1, 32, 16, 17, 1), (16, 32, 3), (2, 5, 31))
functional = nn.functional


@pytest.fixture(autouse=True)
def _any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower for any batch what would be lowered for one sample because that leaves less outside."""
    monkeypatch.setattr(pte, "can_narrow", lambda _: False)


class Behind(nn.Module):
    """A function of the maps that a convolution makes of a picture, or of the signals; a layer reads its maps."""

    def __init__(self, function: Callable[[Tensor], Tensor], rank: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3) if rank == 4 else nn.Conv1d(3, 8, 3)
        self.function, self.last = function, nn.Conv2d(8, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the function makes of the maps of x (batch, 3, 10, 10) or (batch, 3, 10)."""
        y = self.function(torch.relu(self.convolution(x)))
        return self.last(y) if y.dim() == 4 and y.shape[1] == 8 else y  # otherwise the end, which is not rounded


def lowered(function: Callable[[Tensor], Tensor], scheme: Scheme, rank: int = 4) -> tuple[bytes, Quantized]:
    """Lower a network around a function."""
    torch.manual_seed(0)
    model = Behind(function, rank).eval()
    shape = (3, *[10] * (rank - 2))
    with torch.no_grad():
        size = tuple(model(torch.zeros(16, *shape)).shape[1:])
    program = quantized(model, {"x": shape}, {"y": size}, scheme)
    return pte.lower(program, PteSettings()).data, program


def worst_db(data: bytes, program: Quantized) -> float:
    """Return the SQNR of the worst batch of all orders, each on a load of its own, against one row at a time."""
    source = program.captured.source
    (spec,) = source.inputs
    shape = [int(size) for size in spec.shape[1:]]
    noise = np.random.default_rng(7).normal(size=(32, *shape)).astype(np.float32)

    def answers(orders: tuple[int, ...]) -> list[Array]:
        opened = runs.open_artifact(Format.PTE, data, Cpu.ARM64, source.inputs, source.outputs)
        return [whole(opened.run(Samples(inputs={spec.name: noise[:size]}), size)["y"]) for size in orders]

    one = runs.open_artifact(Format.PTE, data, Cpu.ARM64, source.inputs, source.outputs)
    alone = whole(one.run(Samples(inputs={spec.name: noise}), 1)["y"]).astype(np.float64)
    assert np.ptp(alone, axis=0).max() > 0
    ratios = []
    for order in ORDERS:
        for size, got in zip(order, answers(order), strict=True):
            error = np.square(alone[:size] - got).sum()
            ratios.append(np.inf if error == 0 else 10 * np.log10(np.square(alone[:size]).sum() / error))
    return float(min(ratios))


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "adaptive": lambda y: functional.adaptive_avg_pool2d(y, 1),
    "adaptive flat": lambda y: functional.adaptive_avg_pool2d(y, (1, 1)).flatten(1) * 2,
    "mean kept": lambda y: y.mean((2, 3), keepdim=True),
    "mean kept, from behind": lambda y: y.mean((-1, -2), keepdim=True).flatten(1) - 1,
    "mean": lambda y: y.mean((2, 3)),
    "mean twice": lambda y: y.mean(3, keepdim=True).mean(2, keepdim=True),
    "whole window": lambda y: functional.avg_pool2d(y, 8),
    "window": lambda y: functional.avg_pool2d(y, 3, 2),
    "gate": lambda y: y * functional.adaptive_avg_pool2d(y, 1).sigmoid(),
    "centred": lambda y: y - y.mean((2, 3), keepdim=True),
}


@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.FLOAT])
@pytest.mark.parametrize("name", POOLS)
def test_pools_answer_growing_batches(name: str, scheme: Scheme) -> None:
    """Global and other pools, however they are written."""
    assert worst_db(*lowered(POOLS[name], scheme)) > 60


@pytest.mark.parametrize(
    "function",
    [lambda y: functional.adaptive_avg_pool1d(y, 1), lambda y: y.mean(2), lambda y: y.mean(1, keepdim=True)],
    ids=["adaptive", "mean", "channels"],
)
def test_signals_answer_growing_batches(function: Callable[[Tensor], Tensor]) -> None:
    """The same in one dimension."""
    assert worst_db(*lowered(function, Scheme.INT8, rank=3)) > 60


def test_the_delegate_itself_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """XNNPACK's mean of integers, left as it is: once this fails, the form that goes around it can go.

    It reads what it has not written: how wrong that is depends on what the memory held before.
    """
    for name in ("pool_means", "rewrite"):
        monkeypatch.setattr(pte, name, lambda _: None)
    made, found = lowered(POOLS["adaptive"], Scheme.INT8), list[float]()
    while len(found) < 8 and min(found, default=np.inf) >= 30:
        held = [np.full(2**power, 99, np.uint8) for power in range(8, 25) for _ in range(4)]
        del held
        found.append(worst_db(*made))
    assert min(found) < 30, found


OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "maximum": lambda y: functional.max_pool2d(y, 2),
    "bilinear": lambda y: functional.interpolate(y, scale_factor=2, mode="bilinear"),
    "nearest": lambda y: functional.interpolate(y, scale_factor=2),
    "softmax": lambda y: y.flatten(2).softmax(-1),
    "cat": lambda y: torch.cat([y, y * 2], 1),
    "pad": lambda y: functional.pad(y, (1, 2, 1, 1)),
    "slice": lambda y: y[:, :4, 1:-1],
    "permute": lambda y: y.permute(0, 2, 3, 1) * 2,
    "products": lambda y: y.flatten(2) @ y.flatten(2).transpose(1, 2),
    "sum": lambda y: y.sum((2, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_operations_answer_growing_batches(name: str) -> None:
    """What else changes shapes or reads many places."""
    assert worst_db(*lowered(OTHERS[name], Scheme.INT8)) > 60

"""Programs are shaped so that one delegate takes what XNNPACK has operators for, and compute the same."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.samples import Samples
from edgekit.execution import artifact as runs
from edgekit.lowering import pte
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Quantized
from edgekit.spec import Cpu, Format, PteSettings
from tests.programs.networks import Tokens, quantized

pytestmark = pytest.mark.slow


def outputs(artifact: Artifact, program: Quantized, batch: int) -> np.ndarray:
    """Run a .pte on noise, so many samples at once, and return its only output."""
    source = source_with_batch(program.captured.source, artifact.batch)
    (spec,) = source.inputs
    shape = [int(size) for size in spec.shape[1:]]
    noise = np.random.default_rng(1).normal(size=(32, *shape)).astype(np.float32)
    taken = source_with_batch(source, artifact.batch)
    opened = runs.open_artifact(Format.PTE, artifact.data, Cpu.ARM64, taken.inputs, taken.outputs)
    (result,) = opened.run(Samples(inputs={spec.name: noise}), artifact.batch or batch).values()
    return np.asarray(result)


def delegates(artifact: Artifact) -> int:
    """Return how many delegates there are."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    return len(deserialize_pte_binary(artifact.data).program.execution_plan[0].delegates)


def test_attention_is_one_delegate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays outside, and the numbers are those of the plain lowering and its many delegates."""
    torch.manual_seed(0)
    program = quantized(Tokens(), {"tokens": (6, 8)}, {"features": (8,)})
    shaped = pte.lower(program, PteSettings())
    assert shaped.operators == ()
    assert delegates(shaped) == 1
    for name in ("infer_batches", "pool_means", "rewrite", "can_narrow"):  # the last: for any batch, as before
        monkeypatch.setattr(pte, name, lambda _: None)
    plain = pte.lower(program, PteSettings())
    assert {"aten::expand_copy.out", "aten::mean.out"} < set(plain.operators)
    assert delegates(plain) >= 6
    assert len(shaped.data) < len(plain.data)
    for batch in (1, 16, 32):
        difference = np.abs(outputs(shaped, program, batch) - outputs(plain, program, batch))
        assert (difference > 1e-5).mean() < 0.02  # a mean on the edge of two steps
        assert difference.max() < 0.03


class Reduced(nn.Module):
    """A convolution over a picture or a signal, and a function of what it gives."""

    def __init__(self, function: Callable[[Tensor], Tensor], rank: int) -> None:
        super().__init__()
        self.convolution = (nn.Conv1d if rank == 3 else nn.Conv2d)(2, 4, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return features of x (batch, 2, 10) or (batch, 2, 10, 10)."""
        return self.function(self.convolution(x) * 2)


@pytest.mark.parametrize(
    ("function", "rank"),
    [
        (lambda x: x.mean(-1), 3),
        (lambda x: x.mean(1), 3),
        (lambda x: x.mean(2, keepdim=True), 3),
        (lambda x: x.mean((2, 3)), 4),
        (lambda x: x.mean((-1, -2), keepdim=True), 4),
        (lambda x: x.mean(1), 4),
        (lambda x: x.mean((1, 2)), 3),
    ],
    ids=["last", "middle", "kept", "places", "places kept", "channels", "all"],
)
def test_means_are_delegated_and_right(function: Callable[[Tensor], Tensor], rank: int) -> None:
    """A mean needs no kernel, whatever it is over. The values are those of the program."""
    torch.manual_seed(0)
    model = Reduced(function, rank)
    shape = (2, 10) if rank == 3 else (2, 10, 10)
    with torch.no_grad():
        size = tuple(model(torch.zeros(16, *shape)).shape[1:])
    program = quantized(model, {"x": shape}, {"y": size})
    artifact = pte.lower(program, PteSettings())
    assert artifact.operators == ()
    module = program.program.module()
    noise = torch.from_numpy(np.random.default_rng(1).normal(size=(32, *shape)).astype(np.float32))
    with torch.no_grad():
        expected = module(noise).numpy()
    found = outputs(artifact, program, 16)
    assert found.shape == expected.shape
    step = np.abs(expected).max() / 25  # some int8 steps: the runtime rounds halves another way
    assert np.abs(found - expected).max() < step
    assert np.abs(found[::-1] - expected).max() > 3 * step


class Products(nn.Module):
    """Matrix products that are no batches of the same size: left as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.fixed = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 2, 5, 3) of x (batch, 2, 5, 4)."""
        y = self.linear(x)
        y = torch.matmul(y[:, :1], y.transpose(-2, -1)) @ y  # one matrix with each of two
        result: Tensor = torch.matmul(y, self.fixed)
        return result


def test_products_that_broadcast_are_right() -> None:
    """What cannot be written as one batch is lowered the plain way."""
    torch.manual_seed(0)
    program = quantized(Products(), {"x": (2, 5, 4)}, {"y": (2, 5, 3)})
    with torch.no_grad():
        module = program.program.module()
        noise = torch.from_numpy(np.random.default_rng(1).normal(size=(32, 2, 5, 4)).astype(np.float32))
        expected = module(noise).numpy()
    found = outputs(pte.lower(program, PteSettings()), program, 16)
    assert np.abs(found - expected).max() < np.abs(expected).max() / 50
    assert np.abs(found[::-1] - expected).max() > np.abs(expected).max() / 10

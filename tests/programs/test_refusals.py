"""What torch.export refuses: the line of the person's code, the reason in a sentence, and what to write instead."""

# ruff: noqa: D101, D102, N812, PERF401, S311, T201 - networks as people write them, whose names say what they do

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekit.errors import EdgeKitError
from edgekit.model.capture import capture
from edgekit.model.program import Captured
from edgekit.model.source import samples_of, source_from_example

X = torch.randn(24, 8, generator=torch.Generator().manual_seed(0))


class Base(nn.Module):
    """A layer, and places to remember things in."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.count, self.kept = nn.Linear(8, 6), 0, list[Any]()


class Branch(Base):
    def forward(self, x: Tensor) -> Any:
        if x.sum() > 0:  # here
            return self.layer(x)
        return -self.layer(x)


class InlineBranch(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x) if bool((x > 0).any()) else x[:, :6]  # here


class Item(Base):
    def forward(self, x: Tensor) -> Any:
        n = int(x.abs().sum().clamp(1, 5).item())  # here
        return self.layer(x)[:, :n]


class TopOf(Base):
    def forward(self, x: Tensor) -> Any:
        k = int(x[0, 0] > 0) + 1  # here
        return self.layer(x).topk(k, 1).values


class While(Base):
    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        while y.norm() > 1:  # here
            y = y / 2
        return y


class Assertion(Base):
    def forward(self, x: Tensor) -> Any:
        assert x.max() < 1000  # here
        return self.layer(x)


class ToNumpy(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(torch.from_numpy(x.detach().numpy() * 2))  # here


class PrintOf(Base):
    def forward(self, x: Tensor) -> Any:
        print(f"{x.mean():.3f}")  # here
        return self.layer(x)


class Gradient(Base):
    def forward(self, x: Tensor) -> Any:
        with torch.enable_grad():
            x = x.requires_grad_()
            (found,) = torch.autograd.grad(self.layer(x).sum(), x)  # here
        return found


class Backward(Base):
    def forward(self, x: Tensor) -> Any:
        with torch.enable_grad():
            x = x.detach().clone().requires_grad_()
            self.layer(x).sum().backward()  # here
            assert x.grad is not None
        return x.grad.clone()


class Function(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)  # here

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return gradients


class OwnFunction(Base):
    def forward(self, x: Tensor) -> Any:
        return Function.apply(self.layer(x))  # type: ignore[no-untyped-call]


class Hook(Base):
    def __init__(self) -> None:
        super().__init__()
        self.layer.register_forward_hook(lambda module, given, out: self.kept.append(out.detach().numpy()))  # here

    def forward(self, x: Tensor) -> Any:
        return self.layer(x)


class Rows(Base):
    def forward(self, x: Tensor) -> Any:
        found = []
        for row in x:  # here
            found.append(self.layer(row))
        return torch.stack(found)


class Loop(Base):
    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        for number in range(x.shape[0]):  # here
            y = y + number
        return y


class ByLength(Base):
    def forward(self, x: Tensor) -> Any:
        if x.shape[0] > 3:  # here
            return self.layer(x)
        return self.layer(x) * 2


class Root(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x) / math.sqrt(x.shape[0])  # here


class Dropping(Base):
    def forward(self, x: Tensor) -> Any:
        return F.dropout(self.layer(x), 0.5)  # here


class Noisy(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x) + torch.randn_like(x[:, :6])  # here


class Counting(Base):
    def forward(self, x: Tensor) -> Any:
        self.count += 1
        return self.layer(x) * self.count


class Remembering(Base):
    def forward(self, x: Tensor) -> Any:
        self.kept.append(x.sum())
        return self.layer(x) + len(self.kept)


class PythonsRandom(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x) * random.random()


class Device(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x) + torch.ones(6, device="meta")  # here


class Filtered(Base):
    def forward(self, x: Tensor) -> Any:
        return x[x > 0]


class Spectrum(Base):
    def forward(self, x: Tensor) -> Any:
        return torch.fft.fft(self.layer(x))


# What it does, rows of the example, words of the reason, words of what to write instead.
REFUSED: dict[str, tuple[type[Base], int, str, str]] = {
    "branch on a value": (Branch, 1, "Which branch", "torch.where"),
    "branch in an expression": (InlineBranch, 1, "Which branch", "torch.where"),
    "item() as a size": (Item, 1, "made of values", "mask"),
    "a number of values": (TopOf, 1, "made of values", "fixed k"),
    "loop on a value": (While, 1, "How often the loop runs", "fixed number of times"),
    "assertion on a value": (Assertion, 1, "assertion", "is_exporting"),
    "numpy": (ToNumpy, 1, "outside of torch", "torch's functions"),
    "print": (PrintOf, 1, "A text", "print"),
    "gradient": (Gradient, 1, "gradient", "formula"),
    "backward": (Backward, 1, "gradient", "formula"),
    "own function": (OwnFunction, 1, "outside of torch", "torch's functions"),
    "hook": (Hook, 1, "outside of torch", "torch's functions"),
    "list of rows": (Rows, 2, "unrolled", "whole tensor"),
    "loop over rows": (Loop, 2, "unrolled", "whole tensor"),
    "branch on a size": (ByLength, 2, "another way for other sizes", "max_batch=1"),
    "a size as a number": (Root, 2, "plain number", "x.shape[0]"),
    "dropout": (Dropping, 1, "random numbers", "nn.Dropout"),
    "noise": (Noisy, 1, "random numbers", "as an input"),
    "a counter": (Counting, 1, "when it is asked again", "state in and out"),
    "a list that grows": (Remembering, 1, "when it is asked again", "state in and out"),
    "random of Python": (PythonsRandom, 1, "draws numbers", "state in and out"),
    "devices": (Device, 1, "device", "device=x.device"),
    "boolean index": (Filtered, 1, "depends on values", "a mask in place"),
    "complex": (Spectrum, 1, "complex64", "float32"),
}


def taken(model: nn.Module, rows: int) -> Captured:
    """Capture a model as the API does."""
    source = source_from_example("net", model, X[:rows])
    return capture(source, samples_of(X, source, what="data"))


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_refusals(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Each is an error of EdgeKit with line, reason and way out."""
    kind, rows, reason, instead = REFUSED[case]
    torch.manual_seed(0)
    with pytest.raises(EdgeKitError) as caught:
        taken(kind(), rows)
    text = f"{caught.value.message} {caught.value.hint}"
    assert reason in text
    assert instead in caught.value.hint
    start = Path(__file__).read_text(encoding="utf-8").split("\n")
    first = next(number for number, line in enumerate(start) if line.startswith(f"class {kind.__name__}("))
    first = first if kind is not OwnFunction else next(n for n, line in enumerate(start) if "class Function(" in line)
    last = next(
        number for number in range(first + 1, len(start)) if start[number] and not start[number].startswith(" ")
    )
    here = next((number for number in range(first, last) if "# here" in start[number]), None)
    if here is not None:
        assert f"test_refusals.py:{here + 1}" in caught.value.message


class Averaged(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x) / x.shape[0] ** 0.5 + math.sqrt(x.shape[1])


class Cached(Base):
    def forward(self, x: Tensor) -> Any:
        self.kept = [self.layer(x)]
        return self.kept[0]


class Off(Base):
    def forward(self, x: Tensor) -> Any:
        return F.dropout(self.layer(x), 0.5, self.training)


class Chosen(Base):
    def forward(self, x: Tensor) -> Any:
        return torch.where(x.sum() > 0, self.layer(x), -self.layer(x))


class Checked(Base):
    def forward(self, x: Tensor) -> Any:
        if not torch.compiler.is_exporting():
            assert x.max() < 1000
        return self.layer(x)


@pytest.mark.parametrize(("kind", "rows"), [(Averaged, 2), (Cached, 2), (Off, 1), (Chosen, 1), (Checked, 2), (Root, 1)])
def test_what_is_advised_is_taken(kind: type[Base], rows: int) -> None:
    """The twins of what is refused: each is captured, and computes what the model does."""
    torch.manual_seed(0)
    captured = taken(kind(), rows)
    module, model = captured.program.module(), captured.source.model
    given = captured.example[0]
    assert torch.allclose(module(given), model(given))


def test_numbers_that_are_drawn_later_stay() -> None:
    """Trying the model does not move the caller's random numbers."""
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    taken(Checked(), 2)
    torch.manual_seed(3)
    source = source_from_example("net", Off(), X[:1])
    state = torch.get_rng_state()
    capture(source, samples_of(X, source, what="data"))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(3), expected)

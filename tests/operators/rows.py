"""The rows of the matrix: a small network about each operation, with the shape of one sample of its input."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Function = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One operation in its network."""

    name: str
    group: str
    make: Callable[[], nn.Module]
    """Makes the network; call it with a seed set."""
    shapes: tuple[tuple[int, ...], ...]
    """Shape of one sample of each input."""
    tokens: int = 0
    """Inputs are int64 below this number, where it is not zero."""

    @property
    def key(self) -> str:
        """Name and group, for the ids of tests."""
        return f"{self.group}/{self.name}"


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: Tensor) -> Tensor:
        """Call it."""
        return self.function(*x)


class Between(nn.Module):
    """An operation between two weighted layers, as it stands in a network."""

    def __init__(self, before: nn.Module, operation: nn.Module, after: nn.Module | None) -> None:
        super().__init__()
        self.before, self.operation, self.after = before, operation, after

    def forward(self, x: Tensor) -> Tensor:
        """Run the three."""
        y = self.operation(self.before(x))
        found: Tensor = y[0] if isinstance(y, tuple) else y
        return found if self.after is None else self.after(found)


CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}
TRANSPOSED: dict[int, Callable[..., nn.Module]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
PLACES = {1: (24,), 2: (12, 12), 3: (6, 6, 6)}


def on_maps(
    dims: int, operation: Callable[[], nn.Module], *, channels: int = 8, last: bool = True
) -> Callable[[], nn.Module]:
    """Return what makes convolution, operation, convolution on maps of so many dimensions."""

    def make() -> nn.Module:
        kind = CONVOLUTIONS[dims]
        return Between(kind(3, 8, 3, padding=1), operation(), kind(channels, 6, 1) if last else None)

    return make


def on_vectors(operation: Callable[[], nn.Module], *, width: int = 16, last: bool = True) -> Callable[[], nn.Module]:
    """Return what makes linear layer, operation, linear layer."""

    def make() -> nn.Module:
        return Between(nn.Linear(12, 16), operation(), nn.Linear(width, 6) if last else None)

    return make


def maps(group: str, name: str, operation: Callable[[], nn.Module], dims: int = 2, **options: bool | int) -> Row:
    """Return a row on maps."""
    channels, last = int(options.get("channels", 8)), bool(options.get("last", True))
    make = on_maps(dims, operation, channels=channels, last=last)
    return Row(name=name, group=group, make=make, shapes=((3, *PLACES[dims]),))


def vectors(group: str, name: str, operation: Callable[[], nn.Module], **options: bool | int) -> Row:
    """Return a row on sequences of ten vectors."""
    width, last = int(options.get("width", 16)), bool(options.get("last", True))
    return Row(name=name, group=group, make=on_vectors(operation, width=width, last=last), shapes=((10, 12),))


def function(group: str, name: str, body: Function, dims: int = 0, **options: bool | int) -> Row:
    """Return a row of a function, on vectors (``dims`` 0) or on maps."""
    if dims:
        return maps(group, name, lambda: Called(body), dims, **options)
    return vectors(group, name, lambda: Called(body), **options)


def settled(norm: nn.Module) -> nn.Module:
    """Return a norm with statistics and gains as training leaves them."""
    with torch.no_grad():
        for name, tensor in [*norm.named_parameters(), *norm.named_buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5) if "var" in name or "weight" in name else tensor.normal_(0, 0.3)
    return norm

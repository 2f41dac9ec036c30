"""What a program says of itself: the module that computes it, what goes in and out, and which sizes may vary."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from edgekit.model.outputs import identifiers
from edgekit.spec import Dimension, Preprocessing, TensorSpec
from edgekit.spec.dimensions import BATCH

# The largest batch of a program that allows any; memory is planned for it.
MOST_BATCH = 64
_AXES = {4: ("", "", "height", "width"), 3: ("", "length", ""), 2: ("", "length")}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A module made of a file or a name that holds the whole network."""

    module: nn.Module
    """Computes it; its ``forward`` takes the inputs in order."""
    origin: str
    """What it was made of, in words: ``the exported program net.pt2``."""
    names: tuple[str, ...] | None = None
    """Names of the inputs; None: those of `inputs`."""
    inputs: tuple[TensorSpec, ...] | None = None
    """What goes in; None: the program does not say."""
    outputs: tuple[TensorSpec, ...] | None = None
    """What comes out; None: it is found by running it."""
    dimensions: Mapping[str, Dimension | None] | None = None
    """The sizes of what varies, by the names in the shapes; None: the program names no largest size."""
    binding: bool = True
    """Whether the shapes are the only ones; False: they are those of an example, and others may be declared."""
    labels: tuple[str, ...] = ()
    """Names of the classes, where the program knows them."""
    preprocessing: Preprocessing | None = None
    """How pictures become its input, where it knows that."""
    notes: tuple[str, ...] = ()
    """What was changed, for a reader of the report."""

    @property
    def open(self) -> tuple[str, ...]:
        """The dimensions that nobody has given a largest size."""
        return tuple(name for name, size in (self.dimensions or {}).items() if size is None)

    @property
    def sizes(self) -> dict[str, Dimension]:
        """The dimensions that have sizes."""
        return {name: size for name, size in (self.dimensions or {}).items() if size is not None}


class Axes:
    """Names for symbolic sizes that have none of their own: a size that stands in two places has one name."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def name(self, symbol: str, tensor: str, axis: int, rank: int) -> str:
        """Return the name of a symbol, chosen by the place where it is met first."""
        if symbol not in self.names:
            usual = BATCH if axis == 0 else _AXES.get(rank, ("",) * rank)[axis]
            taken = set(self.names.values())
            self.names[symbol] = usual if usual and usual not in taken else f"{tensor}_{axis}"
        return self.names[symbol]

    def given(self, symbol: str) -> str:
        """Return the name of a symbol that has one of its own."""
        return self.names.setdefault(symbol, identifiers((symbol,), self.names.values())[0])


def limited(least: int, most: int | None, *, batch: bool, multiple: int = 1) -> Dimension | None:
    """Return a dimension as a program limits it; None where it has no largest size and is no batch."""
    if most is None:
        if not batch:
            return None
        most = max(MOST_BATCH, least) // multiple * multiple
    return Dimension(min=None if least <= multiple else least, max=most, multiple=multiple)

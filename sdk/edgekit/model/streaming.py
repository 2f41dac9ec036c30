"""Streaming: a recurrent network becomes one that takes a piece of a sequence with the state before it.

An app calls it for each piece as it comes, and hands the state that comes out to the next call. The numbers are those
of the whole sequence at once, however long it is; that is tried when the network is made.
"""

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import SourceError

_LAYERS = (nn.LSTM, nn.GRU, nn.RNN)
STATE, NEXT = "state", "next_state"
"""The input and the output that hold the state, float32 of shape (batch, numbers); zeros before the first piece."""


@dataclass(kw_only=True)
class _States:
    """The states of the layers while a network computes: by path of the layer."""

    before: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    behind: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)


class _Resumed(nn.RNNBase):
    """What a recurrent layer becomes: it goes on from a state; one that the network gives it must be zeros."""

    path: str
    states: _States

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers each part of the state has, in each layer of its layers."""
        width = self.proj_size or self.hidden_size
        return (width, self.hidden_size) if isinstance(self, nn.LSTM) else (width,)

    def forward(self, data: Tensor, hx: Any = None) -> Any:
        """Return what the layer returns, and keep the state behind the last step."""
        given = () if hx is None else (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if not torch.compiler.is_compiling() and any(bool(one.any()) for one in given):
            raise SourceError(
                f"{self.path} starts with a state of the network's own.",
                hint="A network that streams starts with zeros; add what it starts with to `state` in the app.",
            )
        if self.path in self.states.behind:
            raise SourceError(
                f"{self.path} is called more than once for one piece.", hint="Give each call a layer of its own."
            )
        before = self.states.before[self.path]
        steps, after = super().forward(data, before if len(before) > 1 else before[0])
        self.states.behind[self.path] = (after,) if isinstance(after, Tensor) else tuple(after)
        return steps, after


class StepModel(nn.Module):
    """A network on a piece of a sequence: ``forward(x, state)`` returns its outputs by name, and ``next_state``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).eval()
        self.states = _States()
        found = [(path, layer) for path, layer in self.network.named_modules() if isinstance(layer, _LAYERS)]
        if not found:
            raise SourceError(
                f"{type(model).__name__} has no LSTM, GRU or RNN.", hint="Only recurrent layers keep a state."
            )
        for path, layer in found:
            if layer.bidirectional:
                raise SourceError(
                    f"{path or 'The network'} reads sequences in both directions, so it cannot begin before they end.",
                    hint="Build the network for whole sequences, or train it with one direction.",
                )
            # As another class of itself, so that its path stays, and all that the network reads of it.
            kind = type(layer)
            layer.__class__ = type(kind.__name__, (_Resumed, kind), {})
            layer.path, layer.states = path, self.states

    @property
    def numbers(self) -> int:
        """How many numbers the state of one sample is."""
        return sum(layer.num_layers * sum(layer.widths) for layer in self._resumed())

    def forward(self, x: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return the outputs for a piece x (batch, steps, ...), and the state behind it (batch, numbers)."""
        layers = self._resumed()
        sizes = [layer.num_layers * width for layer in layers for width in layer.widths]
        parts = iter(torch.split(state, sizes, 1))
        self.states.behind.clear()
        for layer in layers:
            self.states.before[layer.path] = tuple(
                next(parts).reshape(-1, layer.num_layers, width).transpose(0, 1).contiguous() for width in layer.widths
            )
        found = _named(self.network(x))
        behind = [after.transpose(0, 1).flatten(1) for layer in layers for after in self.states.behind[layer.path]]
        self.states.before.clear()
        self.states.behind.clear()
        return {**found, NEXT: behind[0] if len(behind) == 1 else torch.cat(behind, 1)}

    def _resumed(self) -> list[_Resumed]:
        return [layer for layer in self.network.modules() if isinstance(layer, _Resumed)]


@dataclass(frozen=True, kw_only=True)
class Streaming:
    """A network that streams, and what `edgekit.build` wants to know of it."""

    model: StepModel
    steps: int
    """The steps of one piece."""
    example_inputs: tuple[Tensor, Tensor]
    """One piece, and the state before it."""

    def batches(self, sequences: Tensor | Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        """Yield the inputs of each call along sequences (batch, steps, ...), states included: data to calibrate with.

        What is left of a sequence behind its last whole piece is not used.
        """
        for sequence in [sequences] if isinstance(sequences, Tensor) else sequences:
            state = sequence.new_zeros(len(sequence), self.model.numbers)
            for piece in self.pieces(sequence):
                yield {"x": piece, STATE: state}
                with torch.no_grad():
                    state = self.model(piece, state)[NEXT]

    def pieces(self, sequence: Tensor) -> Iterator[Tensor]:
        """Yield the pieces of sequences (batch, steps, ...)."""
        for start in range(0, sequence.shape[1] - self.steps + 1, self.steps):
            yield sequence[:, start : start + self.steps]


def streaming(model: nn.Module, example: Tensor, *, steps: int = 1) -> Streaming:
    """Make a network that takes a sequence in pieces, with its state as one more input and output.

    Args:
        model: A network of one input (batch, steps, ...) with LSTM, GRU or RNN layers of one direction. What it returns
            goes by steps, too, (batch, steps, ...), or is about the last of them. It is copied.
        example: A whole sequence, of two pieces at least.
        steps: How many steps an app has at a time.

    Returns:
        The network, ``forward(x, state) -> {..., "next_state"}``, with an example of its inputs.

    Raises:
        SourceError: If the network has no such layer, or computes something else in pieces than on the whole: it looks
            ahead, or norms, pools or convolves over time.
    """
    if example.dim() < 2 or steps < 1 or example.shape[1] < 2 * steps:
        raise SourceError(
            f"The example of shape {tuple(example.shape)} does not hold two pieces of {steps} steps.",
            hint="Give a sequence (batch, steps, ...) that is longer than what one call takes.",
        )
    made = StepModel(model)
    example = example[:, : example.shape[1] // steps * steps]
    state = example.new_zeros(len(example), made.numbers)
    found = Streaming(model=made, steps=steps, example_inputs=(example[:1, :steps], state[:1]))
    with torch.no_grad():
        whole = _named(copy.deepcopy(model).eval()(example))
        calls = [made(batch["x"], batch[STATE]) for batch in found.batches(example)]
    for name, expected in whole.items():
        joined = joined_pieces([call[name] for call in calls], expected.shape)
        if joined.shape != expected.shape or not torch.allclose(joined, expected, rtol=1e-3, atol=1e-4):
            raise SourceError(
                f"{type(model).__name__} gives another {name} in pieces of {steps} steps than on the whole sequence.",
                hint="What it does beside its recurrent layers must do with the steps of one piece: no convolution, "
                "norm, pool or attention over time, and no layer that is called twice.",
            )
    return found


def joined_pieces(parts: Sequence[Tensor], whole: Sequence[int]) -> Tensor:
    """Return the outputs of all pieces behind each other, or the last, by the shape that a whole sequence gives."""
    goes_by_steps = parts[0].dim() > 1 and len(whole) > 1 and parts[0].shape[1] * len(parts) == whole[1]
    return torch.cat(list(parts), 1) if goes_by_steps else parts[-1]


def _named(found: Any) -> dict[str, Tensor]:
    """Return outputs by name: their own, or ``output``, ``output_1``; what is no tensor, a state say, is left out."""
    if isinstance(found, Mapping):
        return {str(name): one for name, one in found.items() if isinstance(one, Tensor)}
    tensors = [one for one in ([found] if isinstance(found, Tensor) else found) if isinstance(one, Tensor)]
    return {("output" if not i else f"output_{i}"): one for i, one in zip(itertools.count(), tensors, strict=False)}

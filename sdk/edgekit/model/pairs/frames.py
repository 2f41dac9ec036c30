"""Short-time Fourier transforms: frames of a signal, each transformed, and the way back."""

from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from edgekit.errors import CaptureError
from edgekit.model.graph import arguments
from edgekit.model.pairs import fourier
from edgekit.model.pairs.writer import Pair, Part, Writer

_aten = torch.ops.aten
_FORWARD = -1


def write_spectrogram(write: Writer, node: fx.Node) -> Pair | fx.Node:
    """Write ``torch.stft`` as frames, times the window, transformed."""
    given = arguments(node)
    length, hop = given["n_fft"], given["hop_length"] or given["n_fft"] // 4
    data: fx.Node = given["self"]
    rank = data.meta["val"].dim()
    if given.get("center"):
        sides = [length // 2, length // 2]
        inner = data if rank > 1 else write.call(_aten.unsqueeze.default, data, 0)  # a reflection wants a channel
        inner = write.call(_aten.pad.default, inner, sides, given["pad_mode"])
        data = inner if rank > 1 else write.call(_aten.squeeze.dim, inner, 0)
    cut: Part = write.call(_aten.unfold.default, data, -1, length, hop)
    if (window := _window(write, given, length)) is not None:
        cut = write.call(_aten.mul.Tensor, cut, window)
    one_sided = given["onesided"] is not False
    bins = length // 2 + 1 if one_sided else length
    found = fourier.transform(write, Pair(real=cut, imag=None), length, _FORWARD, bins)
    found = found.map(lambda part: write.scaled(part, length**-0.5 if given["normalized"] else 1.0))
    found = found.map(lambda part: write.call(_aten.transpose.int, part, -1, -2))
    if given["return_complex"] is False:
        return write.call(_aten.stack.default, [found.real, found.imag], -1)
    return found


def write_sound(write: Writer, node: fx.Node, data: Pair) -> fx.Node | None:
    """Write ``torch.istft`` as frames transformed back, times the window, added up, over what the windows add up to.

    Raises:
        CaptureError: If the number of frames is not fixed.
    """
    given = arguments(node)
    if given["return_complex"]:
        return None
    length, hop = given["n_fft"], given["hop_length"] or given["n_fft"] // 4
    frames = given["self"].meta["val"].shape[-1]
    if not isinstance(frames, int):
        raise CaptureError(
            "torch.istft takes any number of frames.", hint="Fix the length of the signal in the shapes of the inputs."
        )
    rows = data.map(lambda part: write.call(_aten.transpose.int, part, -1, -2))
    # Where both sides of the spectrum are there, torch takes the first.
    half = rows.map(lambda part: write.call(_aten.slice.Tensor, part, -1, 0, length // 2 + 1))
    found = fourier.signal(write, half, length)
    found = write.scaled(found, length**-0.5 if given["normalized"] else 1 / length)
    window = _window(write, given, length)
    values = torch.ones(length) if window is None else write.known.tensor(window)
    if values is None:
        return None
    if window is not None:
        found = write.call(_aten.mul.Tensor, found, window)
    whole = length + hop * (frames - 1)
    sound = _overlapped(write, found, length, hop, frames)
    start = length // 2 if given["center"] else 0
    end = start + given["length"] if given["length"] else whole - start
    sound = write.call(_aten.slice.Tensor, sound, -1, start, min(end, whole))
    share = 1 / _added_up(values, hop, frames)[start:end]
    sound = write.call(_aten.mul.Tensor, sound, write.constant(f"share_of_{node.name}", share))
    return sound if end <= whole else write.call(_aten.constant_pad_nd.default, sound, [0, end - whole])


def _overlapped(write: Writer, cut: Part, length: int, hop: int, frames: int) -> fx.Node:
    """Add frames up where they overlap: each step of a frame, by so many steps later, to those of the others."""
    steps = -(-length // hop)
    filled = write.call(_aten.constant_pad_nd.default, cut, [0, steps * hop - length]) if length % hop else cut
    found: Part = None
    for step in range(steps):
        part = write.call(_aten.slice.Tensor, filled, -1, step * hop, (step + 1) * hop)
        found = write.add(found, write.call(_aten.constant_pad_nd.default, part, [0, 0, step, steps - 1 - step]))
    return write.call(_aten.flatten.using_ints, found, -2)


def _window(write: Writer, given: dict[str, Any], length: int) -> fx.Node | None:
    """Return the window, in the middle of the frame where it is shorter."""
    window, width = given["window"], given["win_length"] or length
    if window is None and width == length:
        return None
    left = (length - width) // 2
    if window is None:
        middle = functional.pad(torch.ones(width), (left, length - width - left))
        return write.constant(f"window_{width}_of_{length}", middle)
    if width == length:
        return window  # type: ignore[no-any-return]
    return write.call(_aten.constant_pad_nd.default, window, [left, length - width - left])


def _added_up(window: Tensor, hop: int, frames: int) -> Tensor:
    """Return what the squares of the windows add up to."""
    squares = window.square()[:, None].expand(-1, frames)
    whole = len(window) + hop * (frames - 1)
    return functional.fold(squares[None], (1, whole), (1, len(window)), stride=(1, hop)).flatten()

"""Discrete Fourier transforms of a known length: products with constant matrices.

A length of many factors is taken apart (Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier
series", 1965), so that neither the matrices nor the work grow with its square.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from edgekit.errors import CaptureError
from edgekit.model.constants import EXACT
from edgekit.model.graph import arguments
from edgekit.model.pairs.writer import Pair, Part, Writer

_aten = torch.ops.aten
# The longest transform that is one product: up to 64 kB of constants a part.
_WHOLE = 128
_FORWARD, _BACKWARD = -1, 1

_CONSTANTS = f"{EXACT}fourier_"

TRANSFORMS: dict[Any, tuple[int, bool]] = {
    **dict.fromkeys((_aten.fft_fft.default, _aten.fft_fft2.default, _aten.fft_fftn.default), (_FORWARD, False)),
    **dict.fromkeys((_aten.fft_ifft.default, _aten.fft_ifft2.default, _aten.fft_ifftn.default), (_BACKWARD, False)),
    **dict.fromkeys((_aten.fft_rfft.default, _aten.fft_rfft2.default, _aten.fft_rfftn.default), (_FORWARD, True)),
    **dict.fromkeys((_aten.fft_irfft.default, _aten.fft_irfft2.default, _aten.fft_irfftn.default), (_BACKWARD, True)),
}
"""The sign of each transform's exponent, and whether one side of it is a real signal, with half of its spectrum."""


def constant_bytes(program: ExportedProgram) -> int:
    """Return the bytes of the constants of a captured program's transforms, which no scheme makes smaller."""
    return sum(4 * held.numel() for name, held in program.state_dict.items() if _CONSTANTS in name)


def write_transform(write: Writer, node: fx.Node, data: Pair) -> Pair | fx.Node:
    """Write one of `TRANSFORMS` as products.

    Args:
        write: Adds nodes.
        node: The transform.
        data: What it takes, by its parts.

    Raises:
        CaptureError: If its length is not fixed.
    """
    sign, half = TRANSFORMS[node.target]
    given = arguments(node)
    source = node.args[0]
    assert isinstance(source, fx.Node)
    shape = list(source.meta["val"].shape)
    axes, lengths = _axes(given, len(shape))
    *others, last = axes
    to_signal, from_signal = half and sign == _BACKWARD, half and sign == _FORWARD
    for place, axis in enumerate(axes):
        if lengths[place] is None:
            lengths[place] = 2 * (shape[axis] - 1) if to_signal and axis == last else shape[axis]
        if not isinstance(lengths[place], int):
            raise CaptureError(
                "A Fourier transform goes over a size that is not fixed.",
                hint="Fix that size in the shapes of the inputs: a transform of each length is a matrix of its own.",
            )
    size = dict(zip(axes, lengths, strict=True))
    for axis in axes:
        kept = size[axis] // 2 + 1 if to_signal and axis == last else size[axis]
        data = data.map(partial(_resized, write, axis=axis, size=shape[axis], wanted=kept))
    for axis in (last, *others) if from_signal else (*others, last):
        data = _to_end(write, data, axis, len(shape))
        if axis == last and to_signal:
            data = Pair(real=signal(write, data, size[last]), imag=None)
        else:
            bins = size[axis] // 2 + 1 if axis == last and from_signal else size[axis]
            data = transform(write, data, size[axis], sign, bins)
        data = _to_end(write, data, axis, len(shape))
    scale = _scale(given.get("norm"), math.prod(size.values()), sign)
    found = data.map(lambda part: write.scaled(part, scale))
    return write.node(found.real, None) if to_signal else found


def transform(write: Writer, data: Pair, length: int, sign: int, bins: int | None = None) -> Pair:
    """Transform the last dimension, without a factor.

    Args:
        write: Adds nodes.
        data: The values, one part or both.
        length: The size of the last dimension.
        sign: That of the exponent.
        bins: How many of the first bins are wanted; None: all.
    """
    bins = length if bins is None else bins
    rows = _factor(length)
    if rows == 1:
        return _whole(write, data, length, sign, bins)
    columns = length // rows
    # Value b * n + m stands in row n and column m; bin k + a * l comes of rows' bin k and columns' bin l.
    grid = data.map(lambda part: _transposed(write, _split(write, part, rows, columns)))
    grid = transform(write, grid, rows, sign)
    turned = _turned(write, grid, rows, columns, sign)
    turned = turned.map(lambda part: _transposed(write, part))
    found = transform(write, turned, columns, sign)
    found = found.map(lambda part: write.call(_aten.flatten.using_ints, _transposed(write, part), -2))
    return found.map(lambda part: _resized(write, part, -1, length, bins))


def signal(write: Writer, data: Pair, length: int) -> Part:
    """Return the real signal, without a factor, of which the last dimension is half the spectrum."""
    bins = length // 2 + 1
    if _factor(length) == 1:
        angles = _angles(bins, length, length)
        weight = torch.full((bins, 1), 2.0, dtype=torch.float64)
        weight[0] = 1
        if length % 2 == 0:
            weight[-1] = 1
        name = f"{_CONSTANTS}signal_{length}"
        one = _times(write, data.real, f"{name}_cos", weight * angles.cos())
        other = _times(write, data.imag, f"{name}_sin", weight * angles.sin())
        return write.add(one, other, sign=-1)
    whole = Pair(real=_mirrored(write, data.real, 1.0, length), imag=_mirrored(write, data.imag, -1.0, length))
    return transform(write, whole, length, _BACKWARD).real


def _mirrored(write: Writer, part: Part, factor: float, length: int) -> Part:
    """Return one part of a whole spectrum, whose other half is the first one backward."""
    if not isinstance(part, fx.Node):
        return part
    inner = write.call(_aten.slice.Tensor, part, -1, 1, (length + 1) // 2)
    other = write.scaled(write.call(_aten.flip.default, inner, [-1]), factor)
    return write.call(_aten.cat.default, [part, other], -1)


def _whole(write: Writer, data: Pair, length: int, sign: int, bins: int) -> Pair:
    angles = _angles(length, bins, length)
    name = f"{_CONSTANTS}{length}_{bins}"
    cosine, sine = (f"{name}_cos", angles.cos()), (f"{name}_sin", angles.sin())
    real = write.add(_times(write, data.real, *cosine), _times(write, data.imag, *sine), sign=-sign)
    imag = write.add(_times(write, data.imag, *cosine), _times(write, data.real, *sine), sign=sign)
    return Pair(real=real, imag=imag)


def _turned(write: Writer, grid: Pair, rows: int, columns: int, sign: int) -> Pair:
    """Turn each bin of each column by its share of the whole circle."""
    angles = _angles(columns, rows, rows * columns)
    name = f"{_CONSTANTS}turn_{columns}_{rows}"
    cosine = write.constant(f"{name}_cos", angles.cos().float())
    sine = write.constant(f"{name}_sin", angles.sin().float())
    real = write.add(write.times(grid.real, cosine), write.times(grid.imag, sine), sign=-sign)
    imag = write.add(write.times(grid.imag, cosine), write.times(grid.real, sine), sign=sign)
    return Pair(real=real, imag=imag)


def _angles(rows: int, columns: int, length: int) -> Tensor:
    """Return the angles of row times column shares of a circle; whole circles are left out, for accuracy."""
    products = torch.arange(rows, dtype=torch.int64)[:, None] * torch.arange(columns, dtype=torch.int64)
    return (products % length).double() * (2 * math.pi / length)


def _times(write: Writer, part: Part, name: str, matrix: Tensor) -> Part:
    if not isinstance(part, fx.Node):
        return None
    return write.call(_aten.matmul.default, part, write.constant(name, matrix.float()))


def _factor(length: int) -> int:
    """Return the number of rows that a transform is taken apart into; 1: it stays whole."""
    if length <= _WHOLE:
        return 1
    return next(rows for rows in range(math.isqrt(length), 0, -1) if length % rows == 0)


def _split(write: Writer, part: fx.Node, rows: int, columns: int) -> fx.Node:
    return write.call(_aten.unflatten.int, part, -1, [rows, columns])


def _transposed(write: Writer, part: fx.Node) -> fx.Node:
    return write.call(_aten.transpose.int, part, -1, -2)


def _to_end(write: Writer, data: Pair, axis: int, rank: int) -> Pair:
    """Let a dimension and the last one change places."""
    return data if axis == rank - 1 else data.map(lambda part: write.call(_aten.transpose.int, part, axis, -1))


def _resized(write: Writer, part: fx.Node, axis: int, size: int, wanted: int) -> fx.Node:
    """Cut a dimension off, or fill it up with noughts."""
    if size == wanted:
        return part
    if wanted < size:
        return write.call(_aten.slice.Tensor, part, axis, 0, wanted)
    last = write.call(_aten.transpose.int, part, axis, -1)
    filled = write.call(_aten.constant_pad_nd.default, last, [0, wanted - size])
    return write.call(_aten.transpose.int, filled, axis, -1)


def _axes(given: dict[str, Any], rank: int) -> tuple[list[int], list[Any]]:
    """Return the dimensions of a transform, the last of which is real where one is, and the sizes asked for."""
    axes, sizes = given.get("dim"), given.get("n", given.get("s"))
    if isinstance(axes, int):
        return [axes % rank], [sizes]
    if axes is None:
        axes = list(range(rank)) if sizes is None else list(range(rank - len(sizes), rank))
    asked = [None] * len(axes) if sizes is None else [None if size == -1 else size for size in sizes]
    return [axis % rank for axis in axes], asked


def _scale(norm: str | None, count: int, sign: int) -> float:
    """Return the factor of a transform: ``"backward"``, the default, gives all of it to the backward one."""
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") == (sign == _FORWARD) else 1.0

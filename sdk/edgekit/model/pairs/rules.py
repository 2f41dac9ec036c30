"""What operations on complex numbers are as arithmetic of their parts."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx

from edgekit.model.graph import arguments
from edgekit.model.pairs import fourier, frames
from edgekit.model.pairs.writer import Pair, Part, Writer

_aten = torch.ops.aten
# They may give the parts as real numbers, too.
SPECTROGRAMS = frozenset({_aten.stft.default, _aten.stft.center})
Pairs = Mapping[fx.Node, Pair]
Rule = Callable[[Writer, fx.Node, Pairs], "Pair | fx.Node | None"]

PARTWISE = frozenset({
    _aten.alias.default, _aten.cat.default, _aten.chunk.default, _aten.clone.default, _aten.contiguous.default,
    _aten.cumsum.default, _aten.detach.default, _aten.diagonal.default, _aten.expand.default,
    _aten.expand_as.default, _aten.flatten.using_ints, _aten.flip.default, _aten.gather.default,
    _aten.index.Tensor, _aten.index_select.default, _aten.mean.default, _aten.mean.dim, _aten.movedim.int,
    _aten.movedim.intlist, _aten.narrow.default, _aten.neg.default, _aten.permute.default, _aten.repeat.default,
    _aten.repeat_interleave.self_int, _aten.reshape.default, _aten.roll.default, _aten.select.int,
    _aten.slice.Tensor, _aten.split.Tensor, _aten.split_with_sizes.default, _aten.squeeze.default,
    _aten.squeeze.dim, _aten.squeeze.dims, _aten.stack.default, _aten.sum.default, _aten.sum.dim_IntList,
    _aten.t.default, _aten.tile.default, _aten.transpose.int, _aten.tril.default, _aten.triu.default,
    _aten.unbind.int, _aten.unflatten.int, _aten.unsqueeze.default, _aten.view.default, _aten.where.self,
    _aten.zeros_like.default, _aten.lift_fresh_copy.default,
})  # fmt: skip
"""Operations that do to each part what they do to a number, since they move or add up values and change none."""


def parts(operand: Any, pairs: Pairs) -> Pair:
    """Return an operand by its parts: a complex node, a real one, or a number."""
    if isinstance(operand, fx.Node):
        return pairs.get(operand, Pair(real=operand, imag=None))
    number = complex(operand)
    return Pair(real=number.real or None, imag=number.imag or None)


def product(write: Writer, times: Callable[[Part, Part], Part], one: Pair, other: Pair) -> Pair:
    """Return a product of two values whose parts are multiplied by a function that is linear in both."""
    real = write.add(times(one.real, other.real), times(one.imag, other.imag), sign=-1)
    return Pair(real=real, imag=write.add(times(one.real, other.imag), times(one.imag, other.real)))


def _sum(sign: int, first: str = "self", second: str = "other") -> Rule:
    def write_sum(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
        given = arguments(node)
        one, other = parts(given[first], pairs), parts(given[second], pairs)
        if (alpha := given.get("alpha", 1)) != 1:
            other = product(write, write.times, other, parts(alpha, pairs))
        real, imag = (write.add(*both, sign=sign) for both in ((one.real, other.real), (one.imag, other.imag)))
        return _alike(write, node, Pair(real=real, imag=imag))

    return write_sum


def _alike(write: Writer, node: fx.Node, pair: Pair) -> Pair:
    """Give both parts the same shape: a real operand may have spread one of them alone."""
    like = _aten.expand_as.default
    if isinstance(pair.real, fx.Node) and isinstance(pair.imag, fx.Node):
        return Pair(real=pair.real, imag=write.call(like, pair.imag, pair.real)) if _spreads(node) else pair
    return pair


def _spreads(node: fx.Node) -> bool:
    shapes = [source.meta["val"].shape for source in node.all_input_nodes]
    return any(shape != node.meta["val"].shape for shape in shapes)


def _product(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    one, other = (parts(operand, pairs) for operand in node.args[:2])
    return product(write, write.times, one, other)


def _matrices(write: Writer, node: fx.Node, pairs: Pairs) -> Pair | None:
    """Write a product of matrices, or another one of two values that is linear in both."""
    first, second, *bias = node.args
    if any(one is not None for one in bias):
        return None

    def times(one: Part, other: Part) -> Part:
        return None if one is None or other is None else write.call(node.target, one, other)

    return product(write, times, parts(first, pairs), parts(second, pairs))


def _einsum(write: Writer, node: fx.Node, pairs: Pairs) -> Pair | None:
    equation, operands = list[Any](node.args)[:2]
    if len(operands) != 2:
        return None

    def times(one: Part, other: Part) -> Part:
        return None if one is None or other is None else write.call(_aten.einsum.default, equation, [one, other])

    return product(write, times, *(parts(operand, pairs) for operand in operands))


def _square(write: Writer, pair: Pair) -> Part:
    """Return the square of the absolute value."""
    return write.add(write.times(pair.real, pair.real), write.times(pair.imag, pair.imag))


def _quotient(write: Writer, node: fx.Node, pairs: Pairs) -> Pair | None:
    given = arguments(node)
    one, other = parts(given["self"], pairs), parts(given["other"], pairs)
    if given.get("rounding_mode") is not None:
        return None
    return _divided(write, one, other)


def _divided(write: Writer, one: Pair, other: Pair) -> Pair:
    divisor: Part = other.real
    if other.imag is not None:
        turned = Pair(real=other.real, imag=write.scaled(other.imag, -1.0))
        one, divisor = product(write, write.times, one, turned), _square(write, other)

    def over(part: Part) -> Part:
        if part is None or divisor is None:
            return None
        if isinstance(divisor, float):
            return write.scaled(part, 1 / divisor)
        return write.call(_aten.div.Tensor, write.node(part, divisor), divisor)

    return Pair(real=over(one.real), imag=over(one.imag))


def _reciprocal(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    return _divided(write, Pair(real=1.0, imag=None), parts(node.args[0], pairs))


def _power(write: Writer, node: fx.Node, pairs: Pairs) -> Pair | None:
    exponent: Any = node.args[1] if len(node.args) > 1 else 2
    if exponent not in (1, 2, 3, 4):
        return None
    base = found = parts(node.args[0], pairs)
    for _ in range(int(exponent) - 1):
        found = product(write, write.times, found, base)
    return found


def _absolute(write: Writer, node: fx.Node, pairs: Pairs) -> fx.Node:
    pair = parts(node.args[0], pairs)
    square = _square(write, pair)
    return write.call(_aten.sqrt.default, write.node(square, pair.real))


def _angle(write: Writer, node: fx.Node, pairs: Pairs) -> fx.Node:
    pair = parts(node.args[0], pairs)
    return write.call(_aten.atan2.default, write.node(pair.imag, pair.real), write.node(pair.real, pair.imag))


def _part(name: str, other: str) -> Rule:
    def write_part(write: Writer, node: fx.Node, pairs: Pairs) -> fx.Node:
        pair = parts(node.args[0], pairs)
        return write.node(getattr(pair, name), getattr(pair, other))

    return write_part


def _conjugate(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    pair = parts(node.args[0], pairs)
    return Pair(real=pair.real, imag=write.scaled(pair.imag, -1.0))


def _same(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    """Write a change of type, or of what is kept lazily, as nothing."""
    return parts(node.args[0], pairs)


def _as_real(write: Writer, node: fx.Node, pairs: Pairs) -> fx.Node:
    pair = parts(node.args[0], pairs)
    both = [write.node(pair.real, pair.imag), write.node(pair.imag, pair.real)]
    return write.call(_aten.stack.default, both, -1)


def _as_complex(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    real, imag = (write.call(_aten.select.int, node.args[0], -1, place) for place in (0, 1))
    return Pair(real=real, imag=imag)


def _complex(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    real, imag = node.args
    assert isinstance(real, fx.Node)
    assert isinstance(imag, fx.Node)
    return _alike(write, node, Pair(real=real, imag=imag))


def _polar(write: Writer, node: fx.Node, pairs: Pairs) -> Pair:
    length, angle = node.args
    assert isinstance(length, fx.Node)
    return _at_angle(write, length, angle)


def _exponential(write: Writer, node: fx.Node, pairs: Pairs) -> Pair | None:
    pair = parts(node.args[0], pairs)
    if pair.imag is None:
        return None
    length = 1.0 if pair.real is None else write.call(_aten.exp.default, pair.real)
    return _at_angle(write, length, pair.imag)


def _at_angle(write: Writer, length: Part, angle: Any) -> Pair:
    cosine, sine = write.call(_aten.cos.default, angle), write.call(_aten.sin.default, angle)
    return Pair(real=write.times(length, cosine), imag=write.times(length, sine))


def _padded(write: Writer, node: fx.Node, pairs: Pairs) -> Pair | None:
    data, *rest = list[Any](node.args)
    if (arguments(node).get("value") or 0) != 0:
        return None
    return parts(data, pairs).map(lambda part: write.call(node.target, part, *rest))


def _shifted(direction: int) -> Rule:
    """Write a shift of the middle of a spectrum as the roll that it is."""

    def write_shift(write: Writer, node: fx.Node, pairs: Pairs) -> "Pair | fx.Node | None":
        given = arguments(node)
        shape = given["self"].meta["val"].shape
        axes = [given["dim"]] if isinstance(given["dim"], int) else given["dim"] or list(range(len(shape)))
        halves = [shape[axis] // 2 if direction > 0 else (shape[axis] + 1) // 2 for axis in axes]
        return parts(given["self"], pairs).map(lambda part: write.call(_aten.roll.default, part, halves, axes))

    return write_shift


def _transform(write: Writer, node: fx.Node, pairs: Pairs) -> "Pair | fx.Node | None":
    return fourier.write_transform(write, node, parts(node.args[0], pairs))


def _spectrogram(write: Writer, node: fx.Node, pairs: Pairs) -> "Pair | fx.Node | None":
    return frames.write_spectrogram(write, node)


def _from_spectrogram(write: Writer, node: fx.Node, pairs: Pairs) -> "Pair | fx.Node | None":
    return frames.write_sound(write, node, parts(node.args[0], pairs))


RULES: dict[Any, Rule] = {
    _aten.add.Tensor: _sum(1),
    _aten.add.Scalar: _sum(1),
    _aten.sub.Tensor: _sum(-1),
    _aten.sub.Scalar: _sum(-1),
    _aten.rsub.Scalar: _sum(-1, "other", "self"),
    _aten.rsub.Tensor: _sum(-1, "other", "self"),
    _aten.mul.Tensor: _product,
    _aten.mul.Scalar: _product,
    _aten.div.Tensor: _quotient,
    _aten.div.Scalar: _quotient,
    _aten.reciprocal.default: _reciprocal,
    _aten.square.default: _power,
    _aten.pow.Tensor_Scalar: _power,
    **dict.fromkeys((_aten.matmul.default, _aten.mm.default, _aten.bmm.default, _aten.linear.default), _matrices),
    _aten.einsum.default: _einsum,
    _aten.abs.default: _absolute,
    _aten.angle.default: _angle,
    _aten.real.default: _part("real", "imag"),
    _aten.imag.default: _part("imag", "real"),
    **dict.fromkeys((_aten._conj.default, _aten.conj.default, _aten.conj_physical.default), _conjugate),
    **dict.fromkeys((_aten.resolve_conj.default, _aten.resolve_neg.default), _same),
    **dict.fromkeys((_aten.to.dtype, _aten.to.dtype_layout, _aten._to_copy.default), _same),
    _aten.view_as_real.default: _as_real,
    _aten.view_as_complex.default: _as_complex,
    _aten.complex.default: _complex,
    _aten.polar.default: _polar,
    _aten.exp.default: _exponential,
    **dict.fromkeys((_aten.pad.default, _aten.constant_pad_nd.default), _padded),
    _aten.fft_fftshift.default: _shifted(1),
    _aten.fft_ifftshift.default: _shifted(-1),
    **dict.fromkeys(fourier.TRANSFORMS, _transform),
    **dict.fromkeys(SPECTROGRAMS, _spectrogram),
    _aten.istft.default: _from_spectrogram,
}
"""What writes each of them: from the node and the parts of what it takes, its own parts, or a real value. None: it has
no form."""

"""Write attention and softmax as products, sums and one softmax over the last dimension.

ExecuTorch decomposes attention to a softmax that looks for rows in which all is masked: six operations outside, on the
largest tensors that there are.
"""

import math
from typing import Any

import torch
from torch import Tensor, fx

from edgekit.lowering.rewriting.folding import ALIKE
from edgekit.lowering.rewriting.reductions import LONGEST, rows_of
from edgekit.lowering.rewriting.writer import Writer, is_float, rank, shape, tensor_of
from edgekit.model.graph import arguments, is_quantize, operation

_aten = torch.ops.aten
# Stands for minus infinity: what is masked with it is zero behind a softmax, unless all of the row is.
_MASKED = -1e30
_HUGE = 1e38
_LOWEST = -3e38
_SOFTMAX = {_aten.softmax.int, _aten._softmax.default}
# What may give infinities, or no number, of finite values, and what never does.
_UNBOUNDED = {
    "acos", "acosh", "asin", "atanh", "div", "exp", "expm1", "log", "log10", "log1p", "log2", "logit", "pow",
    "reciprocal", "rsqrt", "sinh", "cosh", "sqrt", "tan", "true_divide",
}  # fmt: skip
_BOUNDED = {
    "bmm", "conv1d", "conv2d", "conv3d", "hardsigmoid", "layer_norm", "linear", "matmul", "nan_to_num", "sigmoid",
    "softmax", "_softmax", "tanh",
}  # fmt: skip


def scaled_dot_product_attention(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write attention."""
    given = arguments(node)
    query, key, value = given["query"], given["key"], given["value"]
    if given["dropout_p"] or not all(map(is_float, (query, key, value))) or rank(query) not in (3, 4):
        return None
    batch, (length, width), others = shape(query)[:-2], shape(query)[-2:], shape(key)[-2]
    symbols = [size for size in batch if not isinstance(size, int)]
    if not all(isinstance(size, int) for size in (length, width, others)) or len(symbols) > 1:
        return None
    if given["enable_gqa"]:
        key, value = (_repeat_heads(write, one, batch[-1]) for one in (key, value))
    if any(str(shape(one)[:-2]) != str(batch) for one in (key, value)):
        return None
    mask = _mask(write, given["attn_mask"], given["is_causal"], length, others)
    if mask is False:
        return None
    scale = given["scale"] if given["scale"] is not None else 1 / math.sqrt(width)
    turned = write.permute(key, [*range(rank(key) - 2), rank(key) - 1, rank(key) - 2])
    scores = write(_aten.matmul.default, write.mul(query, scale), turned)
    alive = None
    if isinstance(mask, tuple):
        bias, alive = mask
        scores = write.add(scores, bias)
    weights = _softmax_last(write, scores)
    if alive is not None:
        weights = write.mul(weights, alive)
    return write(_aten.matmul.default, weights, value)


def _repeat_heads(write: Writer, data: fx.Node, heads: int) -> fx.Node:
    """Return data with each head as often as several of the query share it."""
    *batch, found, length, width = shape(data)
    if found == heads:
        return data
    apart = write.reshape(data, [*batch, found, 1, length, width])
    times = heads // found
    ones = torch.ones(*[1] * (len(batch) + 1), times, 1, 1)
    repeated = write.mul(apart, write.constant(f"ones_{tuple(ones.shape)}", ones))
    return write.reshape(repeated, [*batch, heads, length, width])


def _mask(
    write: Writer, mask: Any, causal: bool, length: int, others: int
) -> tuple[fx.Node, fx.Node | None] | bool | None:
    """Return what is added to the scores, and what rows that are masked whole are multiplied with; False: unknown."""
    if causal:
        allowed = torch.ones(length, others, dtype=torch.bool).tril()
        return _known_mask(write, allowed, f"causal_{length}_{others}")
    if mask is None:
        return None
    known = tensor_of(write.program, mask)
    if known is not None:
        return _known_mask(write, known, f"mask_{mask.name}")
    if is_float(mask):
        # Exactly 1 for all numbers, and 0 for minus infinity.
        largest = torch.finfo(torch.float32).max
        alive = write(_aten.clamp.default, write.add(write.mul(mask, 0.5), largest), 0.0, 1.0)
        return write(_aten.clamp.default, mask, _MASKED), alive
    if mask.meta["val"].dtype is torch.bool:
        alive = write(_aten._to_copy.default, mask, dtype=torch.float32)
        return write.mul(write.add(alive, -1.0), -_MASKED), alive
    return False


def _known_mask(write: Writer, mask: Tensor, name: str) -> tuple[fx.Node, fx.Node | None]:
    allowed = mask if mask.dtype is torch.bool else ~torch.isneginf(mask)
    bias = torch.where(allowed, torch.zeros(()) if mask.dtype is torch.bool else mask.float(), _MASKED)
    added = write.constant(f"{name}_bias", bias)
    if bool(allowed.any(-1).all()):
        return added, None
    return added, write.constant(f"{name}_alive", allowed.float())


def softmax(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write a softmax over any dimension as one over the last of three.

    Of four dimensions XNNPACK takes the last in memory, which behind a convolution are the channels: a softmax over the
    width of a picture is then wrong without an error (ExecuTorch 1.5.1).
    """
    given = arguments(node)
    data = given["self"]
    if not is_float(data) or not is_float(node):
        return None
    axis = given["dim"] % max(rank(data), 1)
    if axis == rank(data) - 1 and rank(data) != 4:
        return None
    if axis != rank(data) - 1 and len([size for size in shape(data) if not isinstance(size, int)]) > 1:
        return None
    last = write.to_last(data, axis)
    return write.to_last(_softmax_last(write, last), axis)


def _softmax_last(write: Writer, data: fx.Node) -> fx.Node:
    sizes = shape(data)
    symbols = [size for size in sizes if not isinstance(size, int)]
    if len(sizes) <= 3 or len(symbols) > 1 or not isinstance(sizes[-1], int):
        return write(_aten._softmax.default, data, -1, False)
    flat = write.reshape(data, [-1, sizes[-1]] if symbols else [math.prod(sizes[:-1]), sizes[-1]])
    return write.reshape(write(_aten._softmax.default, flat, -1, False), sizes)


def log_softmax(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the logarithm of a softmax as ``x - logsumexp(x)``, along the last dimension."""
    given = arguments(node)
    data = given["self"]
    if not is_float(data) or given["dtype"] is not None or rank(data) == 0:
        return None
    axis = given["dim"] % rank(data)
    if not isinstance(shape(data)[axis], int) or shape(data)[axis] > LONGEST:
        return None
    if axis != rank(data) - 1 and len([size for size in shape(data) if not isinstance(size, int)]) > 1:
        return None
    centered, total = _exponentials(write, write.to_last(data, axis))[1:]
    return write.to_last(write.sub(centered, write(_aten.log.default, total)), axis)


def logsumexp(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the logarithm of a sum of exponentials."""
    given = arguments(node)
    rows = rows_of(write, given["self"], given["dim"])
    if rows is None:
        return None
    middle, _, total = _exponentials(write, rows)
    return write.reshape(write.add(middle, write(_aten.log.default, total)), shape(node))


def _exponentials(write: Writer, rows: fx.Node) -> tuple[fx.Node, fx.Node, fx.Node]:
    """Return a middle of each row, the row less it, and the sum of the exponentials of that.

    The middle is the mean under the row's own softmax: it lies no more than the logarithm of the length below the
    largest value, so nothing overflows, and it needs no maximum, which XNNPACK has in pools alone.
    """
    finite = write(_aten.clamp.default, rows, _LOWEST)  # zero times minus infinity would be no number
    middle = write.sum_last(write.mul(_softmax_last(write, rows), finite))
    centered = write.sub(rows, middle)
    return middle, centered, write.sum_last(write(_aten.exp.default, centered))


def masked(write: Writer, node: fx.Node) -> fx.Node | None:
    """Write the choice between scores and one number as a sum: ``scores * keep + number * (1 - keep)``."""
    given = arguments(node)
    if node.target is _aten.masked_fill.Scalar:
        data, condition, number, where = given["self"], given["mask"], given["value"], True
    elif isinstance(given["other"], fx.Node):
        data, condition, number, where = given["self"], given["condition"], _number(write, given["other"]), False
    else:
        data, condition, number, where = given["self"], given["condition"], given["other"], False
    if not (isinstance(data, fx.Node) and is_float(data) and is_float(node)) or not isinstance(number, int | float):
        return None
    if str(shape(data)) != str(shape(node)) or not _is_finite(write, data):
        return None
    known = tensor_of(write.program, condition)
    if math.isinf(number):
        if number > 0 or not node.users or any(user.target not in _SOFTMAX for user in node.users):
            return _infinite(write, data, condition if known is None else known, number, where)
        number = _MASKED
    if known is not None:
        keep = (~known if where else known).float()
        kept = write.constant(f"keep_{condition.name}_{where}", keep)
        bias = write.constant(f"bias_{condition.name}_{where}_{number}", (1 - keep) * number)
    else:
        flags = write(_aten._to_copy.default, condition, dtype=torch.float32)
        kept = write.add(write.mul(flags, -1.0), 1.0) if where else flags
        bias = write.mul(flags, float(number)) if where else write.mul(write.add(flags, -1.0), -float(number))
    return write.add(write.mul(data, kept), bias)


def _is_finite(write: Writer, data: fx.Node) -> bool:
    """Whether nothing since the last layer can have given what times zero is not zero: infinities, or no number."""
    waiting, seen = [data], set[fx.Node]()
    while waiting:
        node = waiting.pop()
        if node in seen or node.op != "call_function" or operation(node) in _BOUNDED or is_quantize(node):
            continue
        seen.add(node)
        divisor = node.args[1] if operation(node) in ("div", "pow") and len(node.args) > 1 else None
        known = divisor if isinstance(divisor, int | float) else tensor_of(write.program, divisor)
        is_positive = known is not None and bool(torch.as_tensor(known > 0).all())
        if operation(node) in _UNBOUNDED and not is_positive:
            return False
        waiting += node.all_input_nodes
    return True


def _infinite(write: Writer, data: fx.Node, condition: fx.Node | Tensor, number: float, where: bool) -> fx.Node:
    """Write the choice between data and an infinity as a sum with it, or with nothing."""
    if isinstance(condition, Tensor):
        return write.add(data, write.unnamed(torch.where(condition == where, number, 0.0)))
    flags = write(_aten._to_copy.default, condition, dtype=torch.float32)
    chosen = flags if where else write.add(write.mul(flags, -1.0), 1.0)
    # A product that is too large for a float is infinite, and zero stays zero: zero times infinity would be no number.
    return write.add(data, write.mul(write.mul(chosen, math.copysign(_HUGE, number)), _HUGE))


def _number(write: Writer, node: fx.Node) -> float | None:
    """Return the value that a tensor has throughout, if it is known."""
    if node.target in ALIKE:
        given = arguments(node)
        value = given.get("fill_value", ALIKE[node.target])
        return float(value) if isinstance(value, int | float) else None
    known = tensor_of(write.program, node)
    same = known is not None and known.numel() and bool((known == known.flatten()[0]).all())
    return float(known.flatten()[0]) if known is not None and same else None

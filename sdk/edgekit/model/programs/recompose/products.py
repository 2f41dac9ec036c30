"""Products of matrices: of a weight, they are linear layers; two with a softmax in between are attention."""

import math
from typing import Any

import torch
from torch import fx

from edgekit.model.programs.recompose.patterns import called, new, shape_of, stripped

_aten = torch.ops.aten


def flat(node: fx.Node) -> bool:
    """``view(addmm(bias, view(x), weight.t()))`` and the same without a bias: a linear layer on x."""
    if called(node, _aten.addmm.default) and not node.kwargs:
        bias, x, turned = node.args
    elif called(node, _aten.mm.default):
        bias, (x, turned) = None, node.args
    else:
        return False
    weight = _weight(turned)
    if weight is None or (bias is not None and len(shape_of(bias) or ()) != 1):
        return False
    whole, users = stripped(x, 1)[-1], list(node.users)
    end = users[0] if len(users) == 1 and called(users[0], _aten.view.default, _aten._unsafe_view.default) else None
    wanted = (*(shape_of(whole) or ())[:-1], *(shape_of(node) or ())[-1:])
    if end is not None and shape_of(end) == wanted:
        new(end, _aten.linear.default, (whole, weight, bias))
    else:
        new(node, _aten.linear.default, (x, weight, bias))
    return True


def batched(node: fx.Node) -> bool:
    """``view(bmm(view(expand(a)), view(expand(b))))``: a product of what was merged, or a linear layer."""
    if not called(node, _aten.bmm.default):
        return False
    users = list(node.users)
    merged = len(users) == 1 and called(users[0], _aten.view.default, _aten._unsafe_view.default)
    ends = [*([users[0]] if merged else []), node]
    given = [(a, b) for b in stripped(node.args[1], 2)[::-1] for a in stripped(node.args[0], 2)[::-1]]
    for end in ends:
        wanted = shape_of(end) or ()
        fitting = [(a, b) for a, b in given if _product(shape_of(a) or (), shape_of(b) or ()) == wanted]
        for a, b in fitting:
            if (weight := _weight(b)) is not None:
                new(end, _aten.linear.default, (a, weight))
                return True
        # Of a batch of one, matrices without it fit as well: those of the result's own rank are what was multiplied.
        fitting.sort(key=lambda pair: sum(len(shape_of(one) or ()) != len(wanted) for one in pair))
        if fitting:
            new(end, _aten.matmul.default, fitting[0])
            return True
    return False


def _product(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the shape of the product of two stacks of matrices; None: they do not fit."""
    if min(len(first), len(second)) < 2:
        return None
    rank = max(len(first), len(second)) - 2
    lead = []
    ones = ("1",) * rank
    for one, other in zip((*ones, *first[:-2])[-rank:], (*ones, *second[:-2])[-rank:], strict=True) if rank else ():
        if one != other and "1" not in (one, other):
            return None
        lead.append(other if one == "1" else one)
    return (*lead, first[-2], second[-1]) if first[-1] == second[-2] else None


def biased(node: fx.Node) -> bool:
    """``linear(x, weight) + bias``."""
    if not called(node, _aten.add.Tensor) or node.kwargs:
        return False
    for one, bias in (node.args, node.args[::-1]):
        if not called(one, _aten.linear.default) or not _is_constant(bias):
            continue
        layer: Any = one
        shape = shape_of(node)
        if len(layer.args) == 2 and len(layer.users) == 1 and shape is not None and shape_of(bias) == shape[-1:]:
            new(node, _aten.linear.default, (*layer.args, bias))
            return True
    return False


def _weight(node: Any) -> fx.Node | None:
    """Return a constant whose transposition a node is."""
    turned = (called(node, _aten.permute.default) and list(node.args[1]) == [1, 0]) or called(node, _aten.t.default)
    return node.args[0] if turned and _is_constant(node.args[0]) else None


def _is_constant(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.op == "get_attr"


def attention(node: fx.Node) -> bool:
    """``softmax(q * s @ (k * s).T + mask) @ v``, as torch decomposes scaled dot product attention."""
    if not called(node, _aten.matmul.default):
        return False
    weights, value = node.args
    scores, mask = _scores(weights), None
    if called(scores, _aten.add.Tensor) and not scores.kwargs:
        scores, mask = scores.args
    if not called(scores, _aten.matmul.default):
        return False
    (query, one), (turned, other) = (_scaled(part) for part in scores.args)
    rank = len(shape_of(query) or ())
    order = [*range(rank - 2), rank - 1, rank - 2]
    if one is None or one != other or not called(turned, _aten.permute.default) or list(turned.args[1]) != order:
        return False
    key = turned.args[0]
    if {len(shape_of(one) or ()) for one in (key, value)} != {rank}:
        return False
    new(node, _aten.scaled_dot_product_attention.default, (query, key, value, mask), {"scale": one * one})
    return True


def _scaled(node: Any) -> tuple[Any, float | None]:
    if called(node, _aten.mul.Scalar, _aten.mul.Tensor) and isinstance(node.args[1], float):
        return node.args[0], node.args[1]
    return node, None


def _scores(node: Any) -> Any:
    """Return what a softmax over the last dimension reads; one that gives 0 where all scores are -inf is one, too."""
    if called(node, _aten.where.self):
        excluded, zeros, plain = node.args
        reads = _all_excluded(excluded)
        zero = called(zeros, _aten.full_like.default, _aten.full.default) and zeros.args[1] == 0
        found = _scores(plain)
        return found if zero and reads is not None and reads is found else None
    if called(node, _aten._softmax.default, _aten.softmax.int):
        rank = len(shape_of(node.args[0]) or ())
        return node.args[0] if node.args[1] in (-1, rank - 1) else None
    return None


def _all_excluded(node: Any) -> Any:
    """Return the scores of which a node says where all in a row are -inf."""
    if not called(node, _aten.logical_not.default) or not called(node.args[0], _aten.any.dim):
        return None
    inner = node.args[0].args[0]
    if not called(inner, _aten.logical_not.default) or not called(inner.args[0], _aten.eq.Scalar):
        return None
    scores, least = inner.args[0].args
    return scores if least == -math.inf else None

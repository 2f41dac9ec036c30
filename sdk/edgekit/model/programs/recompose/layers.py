"""Programs that were decomposed to core ATen are written as the layers that they came from, which the quantizer knows.

``ExportedProgram.run_decompositions()`` takes layers apart: a linear layer becomes a transposition and a product of
flattened matrices, attention becomes two of those with a softmax in between. Each rule here finds what one layer
becomes, with the same numbers, and puts the layer in its place; what was found for it is gone with the dead code.
"""

import math
from collections.abc import Callable
from operator import getitem
from typing import Any

import torch
from torch import fx

from edgekit.model.programs.recompose.patterns import called, new, shape_of, sizes, source_of
from edgekit.model.programs.recompose.products import attention, batched, biased, flat

_aten = torch.ops.aten
Rule = Callable[[fx.Node], bool]


def recompose(module: fx.GraphModule) -> None:
    """Put layers in the place of what they were decomposed to; the module is changed in place.

    Args:
        module: A graph of ATen's operations whose nodes have their values' shapes.
    """
    for rules in _STEPS:
        for node in list(module.graph.nodes):
            if node.op == "call_function":
                any(rule(node) for rule in rules)
        module.graph.eliminate_dead_code()
    module.recompile()


def _identity(node: fx.Node) -> bool:
    """A view, expansion or copy that changes nothing."""
    if not called(node, _aten.view.default, _aten.expand.default, _aten.clone.default, _aten.alias.default):
        return False
    given = source_of(node)
    if given is None or shape_of(given) is None or shape_of(given) != shape_of(node):
        return False
    node.replace_all_uses_with(given)
    return True


def _reshape(node: fx.Node) -> bool:
    """A view of what was a copy, which the rules have left out, may be of any layout."""
    if not called(node, _aten.view.default, _aten._unsafe_view.default):
        return False
    new(node, _aten.reshape.default, node.args)
    return True


def _convolution(node: fx.Node) -> bool:
    if not called(node, _aten.convolution.default):
        return False
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = node.args
    rank = len(sizes(weight)) - 2
    if transposed:
        call = (_aten.conv_transpose1d.default, _aten.conv_transpose2d.input, _aten.conv_transpose3d.input)[rank - 1]
        new(node, call, (x, weight, bias, stride, padding, output_padding, groups, dilation))
    else:
        call = (_aten.conv1d.default, _aten.conv2d.default, _aten.conv3d.default)[rank - 1]
        new(node, call, (x, weight, bias, stride, padding, dilation, groups))
    return True


def _norm(node: fx.Node) -> bool:
    """The first result of a norm, where nobody reads the others."""
    if node.target is not getitem or node.args[1] != 0 or len(node.args[0].users) > 1:  # type: ignore[union-attr]
        return False
    given: Any = node.args[0]
    if called(given, _aten._native_batch_norm_legit_no_training.default):
        x, weight, bias, mean, variance, momentum, epsilon = given.args
        new(node, _aten.batch_norm.default, (x, weight, bias, mean, variance, False, momentum, epsilon, False))
    elif called(given, _aten.native_layer_norm.default):
        new(node, _aten.layer_norm.default, (*given.args, False))
    elif called(given, _aten.native_group_norm.default):
        x, weight, bias, _, _, _, groups, epsilon = given.args
        new(node, _aten.group_norm.default, (x, groups, weight, bias, epsilon, False))
    else:
        return False
    return True


def _pool(node: fx.Node) -> bool:
    if not called(node, _aten.mean.dim) or len(node.args) < 3 or node.args[2] is not True or node.kwargs:
        return False
    x: Any = node.args[0]
    axes: Any = node.args[1]
    if len(sizes(x)) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        return False
    new(node, _aten.adaptive_avg_pool2d.default, (x, [1, 1]))
    return True


def _hard(node: fx.Node) -> bool:
    """``clamp(x + 3, 0, 6) / 6``, with and without ``x`` in front."""
    if not called(node, _aten.div.Tensor, _aten.div.Scalar) or node.args[1] != 6:
        return False
    inner: Any = node.args[0]
    if (x := _clamped(inner)) is not None:
        new(node, _aten.hardsigmoid.default, (x,))
        return True
    if called(inner, _aten.mul.Tensor):
        for one, other in (inner.args, inner.args[::-1]):
            if (x := _clamped(other)) is not None and x is one:
                new(node, _aten.hardswish.default, (x,))
                return True
    return False


def _clamped(node: Any) -> fx.Node | None:
    """Return x of ``clamp(x + 3, 0, 6)``, in one or in two steps."""
    low, high = -math.inf, math.inf
    while called(node, _aten.clamp.default):
        least, most = (*node.args[1:], None, None)[:2]
        low, high = max(low, -math.inf if least is None else least), min(high, math.inf if most is None else most)
        node = node.args[0]
    plain = called(node, _aten.add.Tensor, _aten.add.Scalar) and node.args[1] == 3 and not node.kwargs
    return node.args[0] if (low, high) == (0, 6) and plain else None


def _silu(node: fx.Node) -> bool:
    if not called(node, _aten.mul.Tensor):
        return False
    for one, other in (node.args, node.args[::-1]):
        if called(other, _aten.sigmoid.default) and other.args[0] is one:  # type: ignore[union-attr]
            new(node, _aten.silu.default, (one,))
            return True
    return False


_STEPS: tuple[tuple[Rule, ...], ...] = (
    (_convolution, _norm, _pool, _hard, _silu, flat),
    (_identity,),
    (batched,),
    (_identity,),
    (biased,),
    (attention,),
    (_reshape,),
)

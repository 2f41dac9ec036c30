"""Operations that neither format has a form for, written as ones that both have, in place and before anything else."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from edgekit.model.bags import write_bag
from edgekit.model.heads import write_heads

_aten = torch.ops.aten


def _leaky_relu(node: fx.Node) -> None:
    """Write a randomized ReLU: in eval mode its slope is the mean of its bounds."""
    given: list[Any] = list(node.args)
    defaults: list[Any] = [None, 1 / 8, 1 / 3, False]
    data, lower, upper, random = [*given, *defaults[len(given) :]][:4]
    if not random:
        node.target, node.args = _aten.leaky_relu.default, (data, (float(lower) + float(upper)) / 2)


def _even_pool(node: fx.Node) -> None:
    """Write an adaptive pool of volumes whose parts are equal as a pool with a kernel."""
    data, wanted = list[Any](node.args)[:2]
    sizes = data.meta["val"].shape[-3:]
    if all(isinstance(size, int) and size % part == 0 for size, part in zip(sizes, wanted, strict=True)):
        kernel = [size // part for size, part in zip(sizes, wanted, strict=True)]
        node.target, node.args = _aten.avg_pool3d.default, (data, kernel, kernel)


def _even_padding(node: fx.Node) -> None:
    """Write the padding of a convolution of volumes in numbers, where both sides get the same."""
    given: list[Any] = list(node.args)
    defaults: list[Any] = [None, None, None, [1], "valid", [1], 1]
    data, weight, bias, stride, padding, dilation, groups = [*given, *defaults[len(given) :]]
    steps = list(dilation) * 3 if len(dilation) == 1 else list(dilation)
    reach = [step * (size - 1) for step, size in zip(steps, weight.meta["val"].shape[2:], strict=True)]
    if padding == "same" and any(one % 2 for one in reach):
        return
    sides = [one // 2 for one in reach] if padding == "same" else [0, 0, 0]
    strides = list(stride) * 3 if len(stride) == 1 else list(stride)
    node.target, node.args = _aten.conv3d.default, (data, weight, bias, strides, sides, steps, groups)


STANDARD_FORMS: dict[Any, Callable[[fx.Node], None]] = {
    _aten.rrelu.default: _leaky_relu,
    _aten.adaptive_avg_pool3d.default: _even_pool,
    _aten.conv3d.padding: _even_padding,
    _aten.embedding_bag.padding_idx: write_bag,
    _aten.scaled_dot_product_attention.default: write_heads,
}
"""What writes each of them."""

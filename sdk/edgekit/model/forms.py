"""Operations that neither format has a form for, written as ones that both have, in place and before anything else."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from edgekit.model import order, pools, running
from edgekit.model.bags import write_bag
from edgekit.model.graph import add_before
from edgekit.model.heads import write_heads

_aten = torch.ops.aten


def _leaky_relu(node: fx.Node) -> None:
    """Write a randomized ReLU: in eval mode its slope is the mean of its bounds."""
    given: list[Any] = list(node.args)
    defaults: list[Any] = [None, 1 / 8, 1 / 3, False]
    data, lower, upper, random = [*given, *defaults[len(given) :]][:4]
    if not random:
        node.target, node.args = _aten.leaky_relu.default, (data, (float(lower) + float(upper)) / 2)


def _even_padding(node: fx.Node) -> None:
    """Write the padding of a convolution of volumes in numbers: what one side gets more than the other is a pad."""
    given: list[Any] = list(node.args)
    defaults: list[Any] = [None, None, None, [1], "valid", [1], 1]
    data, weight, bias, stride, padding, dilation, groups = [*given, *defaults[len(given) :]]
    steps = list(dilation) * 3 if len(dilation) == 1 else list(dilation)
    reach = [step * (size - 1) for step, size in zip(steps, weight.meta["val"].shape[2:], strict=True)]
    if padding == "same" and any(one % 2 for one in reach):
        beyond = [side for one in reversed(reach) for side in (0, one % 2)]
        data = add_before(node, _aten.constant_pad_nd.default, data, beyond, 0.0)
    sides = [one // 2 for one in reach] if padding == "same" else [0, 0, 0]
    strides = list(stride) * 3 if len(stride) == 1 else list(stride)
    node.target, node.args = _aten.conv3d.default, (data, weight, bias, strides, sides, steps, groups)


def _bilinear(node: fx.Node) -> None:
    """Write a bilinear layer as a linear one of one input, whose outputs are the weights of the other input."""
    one, other, weight, *bias = list[Any](node.args)
    outputs, rows, columns = weight.meta["val"].shape
    sizes = [size if isinstance(size, int) else -1 for size in other.meta["val"].shape[:-1]]
    if sizes.count(-1) > 1:
        return
    turned = add_before(node, _aten.permute.default, weight, [0, 2, 1])
    turned = add_before(node, _aten.reshape.default, turned, [-1, rows])
    weights = add_before(node, _aten.linear.default, one, turned)
    weights = add_before(node, _aten.reshape.default, weights, [*sizes, outputs, columns])
    product = add_before(node, _aten.matmul.default, weights, add_before(node, _aten.unsqueeze.default, other, -1))
    node.target, node.args = _aten.squeeze.dim, (product, -1)
    if bias and bias[0] is not None:
        node.target, node.args = _aten.add.Tensor, (add_before(node, _aten.squeeze.dim, product, -1), bias[0])


def _batch_norm(node: fx.Node) -> None:
    """Write an instance norm with the statistics of training as the batch norm that it then is."""
    data, weight, bias, mean, variance, of_input, momentum, eps, fast = list[Any](node.args)
    if not of_input and mean is not None and variance is not None:
        node.target = _aten.batch_norm.default
        node.args = (data, weight, bias, mean, variance, False, momentum, eps, fast)


def _complement(node: fx.Node) -> None:
    """Write the complement of the error function as one less it."""
    node.target, node.args = _aten.rsub.Scalar, (add_before(node, _aten.erf.default, *node.args), 1.0)


def _power_of_two(node: fx.Node) -> None:
    """Write a power of two as one of e."""
    node.target, node.args = _aten.exp.default, (add_before(node, _aten.mul.Tensor, *node.args, math.log(2)),)


def _hypotenuse(node: fx.Node) -> None:
    """Write the length of a vector of two values as the root that it is."""
    squares = [add_before(node, _aten.mul.Tensor, side, side) for side in node.args]
    node.target, node.args = _aten.sqrt.default, (add_before(node, _aten.add.Tensor, *squares),)


STANDARD_FORMS: dict[Any, Callable[[fx.Node], None]] = {
    _aten.rrelu.default: _leaky_relu,
    _aten.adaptive_avg_pool3d.default: pools.write_means_of_parts,
    _aten.avg_pool2d.default: pools.write_divided,
    _aten.avg_pool3d.default: pools.write_mean,
    _aten.max_pool3d.default: pools.write_largest,
    _aten.adaptive_max_pool1d.default: pools.write_largest_of_parts,
    _aten.adaptive_max_pool2d.default: pools.write_largest_of_parts,
    _aten.adaptive_max_pool3d.default: pools.write_largest_of_parts,
    _aten.median.dim: order.write_median,
    _aten.kthvalue.default: order.write_least,
    _aten.sort.default: order.write_sorted,
    _aten.sort.stable: order.write_sorted,
    _aten.quantile.scalar: order.write_quantile,
    _aten.argsort.default: order.write_places_sorted,
    _aten.bucketize.Tensor: order.write_place,
    _aten.searchsorted.Tensor: order.write_place,
    _aten.bilinear.default: _bilinear,
    _aten.special_erfc.default: _complement,
    _aten.erfc.default: _complement,
    _aten.exp2.default: _power_of_two,
    _aten.special_exp2.default: _power_of_two,
    _aten.hypot.default: _hypotenuse,
    _aten.cumprod.default: running.write_product,
    _aten.cummax.default: running.write_extremes,
    _aten.cummin.default: running.write_extremes,
    _aten.instance_norm.default: _batch_norm,
    _aten.conv3d.padding: _even_padding,
    _aten.embedding_bag.padding_idx: write_bag,
    _aten.scaled_dot_product_attention.default: write_heads,
}
"""What writes each of them."""

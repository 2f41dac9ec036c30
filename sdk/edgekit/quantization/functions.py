"""Operations by how quantization treats them."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import behind_observers

Function = Callable[[Tensor], Tensor]

_aten = torch.ops.aten
# Neither XNNPACK nor ONNX Runtime has int8 kernels for these: they run in float between a dequantize and a quantize.
FLOAT_FUNCTIONS = {
    _aten.hardswish.default, _aten.hardsigmoid.default, _aten.silu.default, _aten.gelu.default,
    _aten.sigmoid.default, _aten.tanh.default, _aten.elu.default,
}  # fmt: skip
LINEAR = {_aten.linear.default}
WEIGHTED = {_aten.conv1d.default, _aten.conv2d.default, *LINEAR}
CLAMPS = {_aten.hardtanh.default, _aten.hardtanh_.default, _aten.relu6.default}
GATHERS = {_aten.embedding.default, _aten.index_select.default, _aten.index.Tensor}
"""What may read rows of a table, see `is_gather`."""
CHOOSING = {
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "amax", "amin", "constant_pad_nd", "dropout",
    "dropout_", "gather", "index", "index_select", "max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_pool3d",
    "max_pool3d_with_indices", "pad", "pixel_shuffle", "pixel_unshuffle", "repeat", "roll", "flip", "unfold",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
}  # fmt: skip
"""Names of operations that compute, and give values that they were given: the steps of both are the same."""
RECTIFIERS = CLAMPS | {_aten.relu.default, _aten.relu_.default}


def is_gather(node: fx.Node) -> bool:
    """Whether a node reads rows, whole ones, of a tensor of two dimensions by integers."""
    given: tuple[Any, ...] = node.args
    if node.op != "call_function" or node.target not in GATHERS or node.kwargs:
        return False
    if behind_observers(given[0]).meta["val"].dim() != 2:
        return False
    if node.target is _aten.embedding.default:
        return True
    if node.target is _aten.index_select.default:
        return given[1] in (0, -2)
    indices = given[1]
    return (
        len(indices) == 1 and indices[0] is not None and indices[0].meta["val"].dtype not in (torch.bool, torch.uint8)
    )


def clamp_ends(node: fx.Node) -> tuple[float, float]:
    """Return the ends of what a rectifier passes on."""
    given: tuple[Any, ...] = node.args
    named: Mapping[str, Any] = node.kwargs
    if node.target in (_aten.hardtanh.default, _aten.hardtanh_.default):
        ends = dict(zip(("min_val", "max_val"), given[1:], strict=False))
        found: dict[str, float] = {"min_val": -1.0, "max_val": 1.0, **ends, **named}
        return found["min_val"], found["max_val"]
    return 0.0, 6.0 if node.target is _aten.relu6.default else math.inf


def common_function(readers: Collection[fx.Node], among: Collection[Any]) -> Function | None:
    """Return the function that all readers of a value apply to it, if it is one of those asked for.

    Args:
        readers: The users of the value.
        among: Operations.
    """
    if len({(reader.target, reader.args[1:]) for reader in readers}) != 1:
        return None
    reader = next(iter(readers))
    if reader.target not in among or not callable(reader.target):
        return None
    function, arguments, keywords = reader.target, reader.args[1:], reader.kwargs

    def apply(values: Tensor) -> Tensor:
        result: Tensor = function(values.clone(), *arguments, **keywords)  # it may work in place
        return result

    return apply

"""Where a value stands between two roundings, and the steps of these."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from edgekit.model.graph import add_call, is_dequantize, is_quantize

LEAST, MOST = -128, 127
_quantized = torch.ops.quantized_decomposed


class Steps(NamedTuple):
    """How a tensor is rounded to int8."""

    scale: float
    """The width of a step."""
    zero: int
    """The step that stands for zero."""

    def rounded(self, values: Tensor) -> Tensor:
        """Return the steps that values are rounded to: half a step goes to the even one, as torch rounds."""
        return torch.clamp(torch.round(values / self.scale) + self.zero, LEAST, MOST).to(torch.int8)

    def values(self) -> Tensor:
        """Return what the 256 steps stand for, from the least on."""
        return (torch.arange(LEAST, MOST + 1, dtype=torch.float32) - self.zero) * self.scale


def of(node: fx.Node) -> Steps | None:
    """Return the steps of a node that rounds a tensor to int8, or reads one that was; None: it does neither."""
    if node.op != "call_function" or not (is_quantize(node) or is_dequantize(node)):
        return None
    given: tuple[Any, ...] = node.args
    if len(given) < 6 or given[5] is not torch.int8 or not isinstance(given[1], float) or not isinstance(given[2], int):
        return None
    return Steps(given[1], given[2])


def rounding(node: fx.Node) -> fx.Node | None:
    """Return what rounds the value of a node, if nothing else reads it."""
    users = list(node.users)
    return users[0] if len(users) == 1 and is_quantize(users[0]) and of(users[0]) is not None else None


def read(node: fx.Node) -> list[fx.Node]:
    """Return the nodes that read rounded tensors for this one; weights are among them only as tensors of one scale."""
    return [one for one in node.all_input_nodes if is_dequantize(one) and of(one) is not None]


def through(value: fx.Node, steps: Steps) -> fx.Node:
    """Round a float value, and return what reads it again. Nodes are added where the graph's cursor stands."""
    given = (steps.scale, steps.zero, LEAST, MOST, torch.int8)
    rounded = add_call(value, _quantized.quantize_per_tensor.default, value, *given)
    return add_call(value, _quantized.dequantize_per_tensor.default, rounded, *given)

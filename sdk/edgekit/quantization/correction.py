"""Bias correction: the mean error of a layer's outputs, as far as the function behind the layer passes it on.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(https://arxiv.org/abs/1906.04721), here with data.
"""

import torch
from torch import Tensor, fx

from edgekit.quantization.functions import (
    FLOAT_FUNCTIONS,
    RECTIFIERS,
    WEIGHTED,
    Function,
    clamp_ends,
    common_function,
)

_aten = torch.ops.aten
# Mean squared slope of the function behind a layer below which a channel is taken for shut: nothing is to be mended.
_LEAST_SLOPE = 1e-3


def bias_of(node: fx.Node) -> fx.Node | None:
    """Return the bias that a layer's error can be put into: one of its own."""
    if node.target not in WEIGHTED or len(node.args) < 3:
        return None
    bias = node.args[2]
    return bias if isinstance(bias, fx.Node) and bias.op == "get_attr" and len(bias.users) == 1 else None


def add_to_channels(node: fx.Node, values: Tensor, shift: Tensor) -> Tensor:
    """Return a layer's outputs as they are with ``shift``, of shape (channels,), added to its bias."""
    channel = _channel(node, values)
    return values + shift.view([-1 if axis == channel else 1 for axis in range(values.ndim)])


class Correction:
    """What is to be added to a layer's bias so that the function behind the layer changes least, in least squares.

    One step of Gauss and Newton, its sums collected over parts of the samples. Without a function it is the mean error;
    with one, errors count as much as it passes on. Those of a ReLU's negative side, say, count nothing: to mend them
    would harm the rest.
    """

    def __init__(self, node: fx.Node) -> None:
        """Start without samples.

        Args:
            node: The layer, in a prepared graph.
        """
        self._node, self._function = node, _function_behind(node)
        self._ends = _ends_behind(node)
        """Where the function is a clamp, the ends of what it passes on."""
        self._error: Tensor | float = 0.0
        self._passed: Tensor | float = 0.0
        self._count = 0

    def add(self, real: Tensor, rounded: Tensor) -> None:
        """Take in a part of the samples.

        Args:
            real: The layer's outputs in float.
            rounded: Its outputs with everything before it, and its weights, rounded; shaped alike.
        """
        axes = [axis for axis in range(rounded.ndim) if axis != _channel(self._node, rounded)]
        self._count += rounded.numel() // rounded.shape[_channel(self._node, rounded)]
        if self._function is None:
            self._error = self._error + (real - rounded).sum(axes).double()
            return
        if self._ends is not None:
            # As below, to the bit, without asking autograd.
            open_ = (rounded > self._ends[0]).logical_and_(rounded < self._ends[1])
            error = real.clamp(*self._ends).sub_(rounded.clamp(*self._ends)).mul_(open_)
            self._error = self._error + error.sum(axes).double()
            self._passed = self._passed + open_.sum(axes).double()
            return
        with torch.enable_grad():
            x = rounded.detach().requires_grad_()
            result = self._function(x)
            (slope,) = torch.autograd.grad(result, x, torch.ones_like(result))
        error = (self._function(real) - result.detach()).mul_(slope)
        self._error = self._error + error.sum(axes).double()
        self._passed = self._passed + slope.square_().sum(axes).double()

    def shift(self) -> Tensor:
        """Return what to add, float32 of shape (channels,)."""
        error, passed = torch.as_tensor(self._error) / self._count, torch.as_tensor(self._passed) / self._count
        if self._function is not None:
            error = torch.where(passed < _LEAST_SLOPE, 0.0, error / passed.clamp(min=_LEAST_SLOPE))
        # A channel with values that are not finite has no mean error: its bias stays.
        return error.nan_to_num(0.0, 0.0, 0.0).float()


def _channel(node: fx.Node, values: Tensor) -> int:
    return values.ndim - 1 if node.target is _aten.linear.default else 1


def _function_behind(node: fx.Node) -> Function | None:
    """Return the function that follows a layer, whether the layer's own output is rounded in between or not."""
    return common_function(_readers(node), FLOAT_FUNCTIONS | RECTIFIERS)


def _ends_behind(node: fx.Node) -> tuple[float, float] | None:
    """Return the ends of the clamp that follows a layer, if one does."""
    readers = _readers(node)
    return clamp_ends(readers[0]) if common_function(readers, RECTIFIERS) else None


def _readers(node: fx.Node) -> list[fx.Node]:
    return [reader for user in node.users for reader in (user.users if user.op == "call_module" else (user,))]

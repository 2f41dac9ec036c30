"""Steps that are learned: roundings that gradients go through, and whose scale has a gradient of its own.

LSQ, Esser et al., "Learned Step Size Quantization" (https://arxiv.org/abs/1902.08153). What is learned is the logarithm
of a scale's gain over the one that calibration chose: a scale stays positive, and an optimizer's step is a share of it,
whatever unit the values have. Zero points stay where calibration put them.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.quantization.dynamic import DynamicObserver, PerChannelGroupWeightObserver
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver

# A scale moves by a factor of e at most: what it may be follows from the layer, see `quantization.scales`.
_MOST_GAIN = 1.0


class _Round(torch.autograd.Function):
    """Round to steps within limits, and back; both gradients are those of LSQ."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, least: float, most: float, share: float) -> Tensor:
        """Return ``values`` rounded to the steps of ``scale``, which is broadcast over them.

        Args:
            ctx: Holds what the gradients need.
            values: float32 of any shape.
            scale: float32, of one number or of as many dimensions as the values.
            least: The least integer, counted from the zero point.
            most: The greatest.
            share: What the scale's gradient is multiplied with.
        """
        # As the observers and the converted program do it, to the bit.
        steps = values * (1 / scale.double()).float()
        ctx.save_for_backward(steps, scale)
        ctx.limits, ctx.share = (least, most), share
        return steps.round().clamp_(least, most).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """Return the gradients of the values, where they are not cut off, and of the scale."""
        (gradient,), (steps, scale), (least, most) = gradients, ctx.saved_tensors, ctx.limits
        inside = (steps >= least) & (steps <= most)
        passed = gradient * inside
        error = torch.where(inside, steps.round() - steps, steps.clamp(least, most)).mul_(gradient)
        axes = [axis for axis in range(error.ndim) if scale.ndim != error.ndim or scale.shape[axis] == 1]
        of_scale = error.sum(axes, keepdim=scale.ndim == error.ndim) if axes else error
        return passed, of_scale.reshape(scale.shape) * ctx.share, None, None, None


class _Through(torch.autograd.Function):
    """Put values in the place of others, whose gradient they take."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rounded: Tensor) -> Tensor:
        """Return the rounded values."""
        return rounded.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Pass the gradient on."""
        return gradients[0], None


def _through(values: Tensor, rounded: Tensor) -> Tensor:
    found: Tensor = _Through.apply(values, rounded)  # type: ignore[no-untyped-call]
    return found


class Steps(nn.Module):
    """A rounding whose scales are learned."""

    start: Tensor

    def __init__(self, scale: Tensor, least: int, most: int) -> None:
        """Start with a scale.

        Args:
            scale: float32 of any shape; see `scales`.
            least: The least integer, counted from the zero point.
            most: The greatest.
        """
        super().__init__()
        self.register_buffer("start", scale.detach().clone())
        self.gain = nn.Parameter(torch.zeros_like(self.start))
        """The logarithm of what the scales are multiplied with, of their shape."""
        self.least, self.most = least, most

    @property
    def scales(self) -> Tensor:
        """The scales as they are now, float32 of the shape of those at the start."""
        return self.start * self.gain.clamp(-_MOST_GAIN, _MOST_GAIN).exp()

    def rounded(self, values: Tensor, scale: Tensor, each: int) -> Tensor:
        """Return values rounded; ``each`` is how many of them a scale answers for in one sample."""
        share = 1 / math.sqrt(max(1, each * self.most))
        found: Tensor = _Round.apply(values, scale, self.least, self.most, share)  # type: ignore[no-untyped-call]
        return found


class ActivationSteps(Steps):
    """The rounding of an activation, with one scale."""

    def __init__(self, observer: HistogramObserver) -> None:
        """Start with what a calibrated observer chose."""
        scale, self.zero_point = observer.parameters_chosen
        least, most = observer.quant_min - self.zero_point, observer.quant_max - self.zero_point
        super().__init__(torch.tensor(scale), least, most)
        self.finite = observer.finite

    def forward(self, values: Tensor) -> Tensor:
        """Return activations of any shape, samples first, rounded and back."""
        scale = self.scales
        if not self.finite:
            step = float(scale.detach())
            values = values.nan_to_num(0.0).clamp(self.least * step, self.most * step)
        return self.rounded(values, scale, values.numel() // max(1, len(values)) if values.ndim else 1)

    def write(self, observer: HistogramObserver) -> None:
        """Let an observer have the scale that was learned."""
        observer.choose(float(self.scales.detach()), self.zero_point)


class WeightSteps(Steps):
    """The rounding of a weight, with a scale for each output channel, or for each group of weights in one."""

    def __init__(self, observer: PerChannelWeightObserver) -> None:
        """Start with the scales that an observer chose."""
        scale, _ = observer.calculate_qparams()
        super().__init__(scale, observer.quant_min, observer.quant_max)
        self.axis = observer.ch_axis
        self.group = observer.group_size if isinstance(observer, PerChannelGroupWeightObserver) else None

    @property
    def kept(self) -> Tensor:
        """The scales as files keep them: those of groups have 16 bits."""
        scales = self.scales
        return scales if self.group is None else _through(scales, scales.detach().bfloat16().float())

    def forward(self, weight: Tensor) -> Tensor:
        """Return a weight of any shape rounded and back."""
        if self.group is None:
            shape = [-1 if axis == self.axis else 1 for axis in range(weight.ndim)]
            return self.rounded(weight, self.kept.view(shape), weight.numel() // weight.shape[self.axis])
        groups = weight.reshape(len(weight), -1, self.group)
        return self.rounded(groups, self.kept[:, :, None], self.group).reshape(weight.shape)

    def write(self, observer: PerChannelWeightObserver) -> None:
        """Let an observer have the scales that were learned."""
        observer.scale = self.kept.detach().clone()


class RowSteps(nn.Module):
    """The rounding of an activation whose range is that of each row, when it is there: nothing is learned."""

    def __init__(self, observer: DynamicObserver) -> None:
        """Take what rounds."""
        super().__init__()
        self.observer = observer

    def forward(self, values: Tensor) -> Tensor:
        """Return activations of shape (..., features) rounded and back."""
        with torch.no_grad():
            rounded = self.observer.quantize(values)
        return _through(values, rounded)

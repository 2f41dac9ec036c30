"""Ranges: which part of an activation's values the 256 steps of int8 are spread over. Arithmetic is float64."""

import torch
from torch import Tensor

from edgekit.quantization.functions import Function

_CANDIDATES = 24  # for each end; one-sided ranges get the square of it, up to _ONE_SIDED
_ONE_SIDED = 192
_LEAST_SHARE = 0.3  # of the observed extreme: a range that clips more was never the best one seen


def affine_parameters(lo: Tensor, hi: Tensor, quant_min: int, quant_max: int, eps: float) -> tuple[Tensor, Tensor]:
    """Return scales and zero points that map [lo, hi] onto [quant_min, quant_max], zero exactly on a step.

    Args:
        lo: Lower ends, at most 0; float64 of any shape.
        hi: Upper ends, at least 0; of the same shape.
        quant_min: The least integer.
        quant_max: The greatest integer.
        eps: The least scale.
    """
    scale = ((hi - lo) / (quant_max - quant_min)).clamp(min=eps)
    zero_point = (quant_min - torch.round(lo / scale)).clamp(quant_min, quant_max)
    return scale, zero_point


def symmetric_parameters(lo: Tensor, hi: Tensor, quant_max: int, eps: float) -> tuple[Tensor, Tensor]:
    """Return scales and zero points, all of them 0, that map the larger of two ends onto the greatest integer.

    Args:
        lo: Lower ends, at most 0; float64 of any shape.
        hi: Upper ends, at least 0; of the same shape.
        quant_max: The greatest integer. The least, one further from zero, stays for what lies beyond the range.
        eps: The least scale.
    """
    scale = (torch.maximum(hi, -lo) / quant_max).clamp(min=eps)
    return scale, torch.zeros_like(scale)


def quantization_error(
    values: Tensor,
    counts: Tensor,
    parameters: tuple[Tensor, Tensor],
    quant_min: int,
    quant_max: int,
    after: Function | None = None,
) -> Tensor:
    """Return the squared error that each candidate makes on a histogram, all candidates at once.

    Args:
        values: Bin centres, float64 of shape (bins,).
        counts: How often each occurs, float64 of shape (bins,).
        parameters: Scales and zero points, each float64 of shape (candidates,).
        quant_min: The least integer.
        quant_max: The greatest integer.
        after: The function that alone reads the values, if there is one: the error is measured behind it. Steps spent
            where hard-swish is flat, for instance, would be lost.

    Returns:
        The errors, float64 of shape (candidates,).
    """
    scale, zero_point = parameters[0][:, None], parameters[1][:, None]
    steps = (values / scale).round_().add_(zero_point).clamp_(quant_min, quant_max)
    restored = steps.sub_(zero_point).mul_(scale)
    if after is not None:
        restored, values = after(restored), after(values)
    return restored.sub_(values).square_() @ counts


def shares(*, both: bool) -> tuple[Tensor, Tensor]:
    """Return the shares of the observed extremes to try, lower and upper, the whole of them last; float64.

    Args:
        both: Whether there are values on both sides of zero; else one end is zero whatever its share is.
    """

    def steps(count: int) -> Tensor:
        return torch.linspace(_LEAST_SHARE, 1, count, dtype=torch.float64)

    if both:
        lows, highs = torch.meshgrid(steps(_CANDIDATES), steps(_CANDIDATES), indexing="ij")
        return lows.reshape(-1), highs.reshape(-1)
    return steps(_ONE_SIDED), steps(_ONE_SIDED)

"""Observers: what calibration remembers of activations and weights. They see a whole batch in one call."""

import math
from typing import Any

import torch
from torch import Tensor
from torchao.quantization.pt2e import ObserverBase

from edgekit.quantization.functions import Function
from edgekit.quantization.ranges import affine_parameters, candidates, quantization_error
from edgekit.spec import Ranges

_BINS = 2048
# Below this all values share the bins in the middle. The bins' number per unit must be a float32.
_LEAST_REACH = 2.0**-100
# Mass cut off at each end by the percentile rule; the usual 99.99%.
_TAIL = 1e-4
# With 16 bits, how far the range goes beyond what was seen: a bit of them.
_HEADROOM = 2.0
# Shares of the largest weight that are tried as the end of a channel's range.
_WEIGHT_SHARES = 21
# Weights that the search holds at once, each as many times in float64.
_WEIGHTS_AT_ONCE = 2**20
# The least scale: it divides, kernels multiply it, and the product of two must still be a normal float32. Where a scale
# must be larger, that follows from the layer, see there: `scales`.
EPS = 2.0**-60
# How much less than a weight's largest scale the scale of a channel may be. What kernels multiply with must not vanish,
# and beside the largest channel a step of this is 2**-21 of the range.
_LEAST_OF_LARGEST = 2.0**-14


class HistogramObserver(ObserverBase):
    """Counts the values of a tensor in bins of equal width around zero.

    The bins reach to a power of two, which doubles when a batch goes further: two bins then become one, so that no
    count is ever spread over bins that it may not have come from.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        quant_min: int,
        quant_max: int,
        qscheme: torch.qscheme,
        ranges: Ranges = Ranges.MSE,
        **_unused: Any,
    ) -> None:
        super().__init__(dtype)
        self.quant_min, self.quant_max, self.qscheme = quant_min, quant_max, qscheme
        self.ranges = ranges
        self.eps = EPS
        self.after: Function | None = None
        self.counts = torch.zeros(_BINS, dtype=torch.float64)
        self.reach = 0.0
        self.lo, self.hi = float("inf"), float("-inf")
        self.finite = True
        """Whether all values seen were finite."""
        self._chosen: tuple[float, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Count the values of ``x``, float of any shape, and pass it on."""
        self._chosen = None
        values = x.detach()
        lo, hi = (end.item() for end in torch.aminmax(values))
        if not math.isfinite(lo + hi):
            # Infinity says nothing of where steps should lie, and what is not a number has no step.
            self.finite, values = False, values[torch.isfinite(values)]
            if not len(values):
                return x
            lo, hi = (end.item() for end in torch.aminmax(values))
        self.lo, self.hi = min(self.lo, lo), max(self.hi, hi)
        self._reach_to(max(abs(lo), abs(hi), _LEAST_REACH))
        # As torch.histc counts, to the last bin, in a third of its time: it takes most of a calibration.
        bins = (values.float() * (_BINS / 2 / self.reach)).add_(_BINS / 2).to(torch.int16).reshape(-1)
        counts = torch.bincount(bins, minlength=_BINS + 1)
        self.counts += counts[:_BINS]
        self.counts[-1] += counts[_BINS]  # the upper end itself
        return x

    def _reach_to(self, extreme: float) -> None:
        if self.reach == 0:
            self.reach = 2.0 ** torch.tensor(extreme).log2().ceil().item()
        while self.reach < extreme:
            pairs = self.counts.view(-1, 2).sum(1)
            self.counts = torch.zeros_like(self.counts)
            self.counts[_BINS // 4 : 3 * _BINS // 4] = pairs
            self.reach *= 2

    def histogram(self) -> tuple[Tensor, Tensor]:
        """Return the centres and the counts of the bins that hold something, float64 of shape (bins,)."""
        filled = torch.nonzero(self.counts)[:, 0]
        width = 2 * self.reach / _BINS
        centres = (-self.reach + width * (filled.double() + 0.5)).clamp(self.lo, self.hi)
        return centres, self.counts[filled]

    @property
    def parameters_chosen(self) -> tuple[float, int]:
        """The scale and the zero point, decided once."""
        if self._chosen is None:
            scale, zero_point = self._decide()
            self._chosen = float(scale.float()), int(zero_point)
        return self._chosen

    @property
    def idle(self) -> bool:
        """Whether nothing but zeros was seen: any scale holds them."""
        return min(self.lo, 0.0) == max(self.hi, 0.0) == 0

    def choose(self, scale: float) -> None:
        """Take a scale for values that are all zero."""
        self._chosen = scale, 0

    def _decide(self) -> tuple[Tensor, Tensor]:
        lo, hi = min(self.lo, 0.0), max(self.hi, 0.0)
        limits = self.quant_min, self.quant_max
        if self.idle:
            pass  # nothing to choose between
        elif self.ranges is Ranges.MSE and self.quant_max - self.quant_min > _BINS:
            # A bin does not tell how its values are rounded to steps narrower than itself, and there is nothing to be
            # won by clipping. What does clip are values that calibration never saw: steps enough are there for them.
            lo, hi = _HEADROOM * lo, _HEADROOM * hi
        elif self.ranges is Ranges.MSE:
            values, counts = self.histogram()
            scales, zero_points = affine_parameters(*candidates(lo, hi), *limits, self.eps)
            errors = quantization_error(values, counts, (scales, zero_points), *limits, self.after)
            best = int(errors.argmin())
            return scales[best], zero_points[best]
        elif self.ranges is Ranges.PERCENTILE:
            values, counts = self.histogram()
            mass = counts.cumsum(0) / counts.sum()
            lo = min(0.0, values[int(torch.searchsorted(mass, _TAIL))].item())
            hi = max(0.0, values[min(int(torch.searchsorted(mass, 1 - _TAIL)), len(values) - 1)].item())
        ends = torch.tensor([lo, hi], dtype=torch.float64)
        return affine_parameters(ends[0], ends[1], *limits, self.eps)

    def quantize(self, x: Tensor) -> Tensor:
        """Return ``x`` rounded to the chosen steps and back."""
        scale, zero_point = self.parameters_chosen
        if not self.finite:
            ends = ((end - zero_point) * scale for end in (self.quant_min, self.quant_max))
            x = x.nan_to_num(0.0).clamp(*ends)
        # As torch.fake_quantize_per_tensor_affine, to the bit, in a third of its time: it remembers what it clamped.
        steps = (x * (1 / scale)).round_().clamp_(self.quant_min - zero_point, self.quant_max - zero_point)
        return steps.mul_(scale)

    def calculate_qparams(self, **_unused: Any) -> tuple[Tensor, Tensor]:
        """Return the scale, float32 of shape (1,), and the zero point, int32 of shape (1,)."""
        scale, zero_point = self.parameters_chosen
        return torch.tensor([scale], dtype=torch.float32), torch.tensor([zero_point], dtype=torch.int32)


class PerChannelWeightObserver(ObserverBase):
    """Chooses a symmetric scale for each output channel of a weight.

    The scale has the least squared rounding error among shares of the channel's largest weight (OMSE, Choukroun et
    al., https://arxiv.org/abs/1902.06822); the min-max rule takes the largest weight itself. The name must hold
    "PerChannel", or torchao does not pass the axis.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        quant_min: int,
        quant_max: int,
        qscheme: torch.qscheme,
        ch_axis: int,
        ranges: Ranges = Ranges.MSE,
        **_unused: Any,
    ) -> None:
        super().__init__(dtype)
        self.quant_min, self.quant_max, self.qscheme, self.ch_axis = quant_min, quant_max, qscheme, ch_axis
        self.ranges = ranges
        self.scale: Tensor | None = None
        self.empty = torch.zeros(0, dtype=torch.bool)
        """Which channels hold nothing but zeros, of shape (channels,)."""

    def forward(self, x: Tensor) -> Tensor:
        """Choose the scales for a weight of shape (channels, ...) when it is first seen, and pass it on."""
        if self.scale is None:
            rows = x.detach().movedim(self.ch_axis, 0).flatten(1)
            self.scale, self.empty = self._scales(rows), ~rows.any(1)
        return x

    def _scales(self, rows: Tensor) -> Tensor:
        """Return the scale of each row, float32 of shape (rows,)."""
        block = max(1, _WEIGHTS_AT_ONCE // rows.shape[1])
        scales = torch.cat([self._decide(part.double()) for part in torch.split(rows, block)])
        return scales.clamp(min=max(EPS, _LEAST_OF_LARGEST * float(scales.max()))).float()

    def _decide(self, rows: Tensor) -> Tensor:
        largest = rows.abs().amax(1) / self.quant_max
        least = 1.0 if self.ranges is Ranges.MINMAX else 0.8
        shares = torch.linspace(least, 1, _WEIGHT_SHARES, dtype=torch.float64)
        scales = (largest * shares[:, None]).clamp(min=EPS)
        # In place, here and in `ranges`: these are the largest tensors of a calibration.
        steps = (rows / scales[:, :, None]).round_().clamp_(self.quant_min, self.quant_max)
        best = steps.mul_(scales[:, :, None]).sub_(rows).square_().sum(2).argmin(0)
        return scales.gather(0, best[None])[0]

    def spread(self, x: Tensor) -> Tensor:
        """Return the scale of each weight, or of each output channel; float32 of shape (channels, inputs or 1)."""
        scale, _ = self.calculate_qparams()
        return scale[:, None]

    def quantize(self, x: Tensor) -> Tensor:
        """Return a weight rounded to the chosen steps and back."""
        scale, zero_point = self.calculate_qparams()
        return torch.fake_quantize_per_channel_affine(
            x, scale, zero_point, self.ch_axis, self.quant_min, self.quant_max
        )

    def calculate_qparams(self, **_unused: Any) -> tuple[Tensor, Tensor]:
        """Return scales, float32 of shape (channels,) or (channels, groups), and as many zero points, int32 zeros."""
        if self.scale is None:
            raise RuntimeError("no weight was seen")
        return self.scale, torch.zeros(self.scale.shape, dtype=torch.int32)

"""Observers: what calibration remembers of activations and weights. They see a whole batch in one call."""

import math
from itertools import permutations
from typing import Any

import torch
from torch import Tensor
from torchao.quantization.pt2e import ObserverBase

from edgekit.model.rounded import from_int8, to_int8
from edgekit.quantization.functions import Function
from edgekit.quantization.ranges import affine_parameters, quantization_error, shares, symmetric_parameters
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
# The largest float16.
_HALF_MOST = 65504.0


class _Fold:
    """What was seen of a fold of the samples."""

    def __init__(self) -> None:
        self.counts = torch.zeros(_BINS, dtype=torch.float64)
        self.lo, self.hi = float("inf"), float("-inf")

    @property
    def seen(self) -> bool:
        return self.lo <= self.hi


class HistogramObserver(ObserverBase):
    """Counts the values of a tensor in bins of equal width around zero.

    The bins reach to a power of two, which doubles when a batch goes further: two bins then become one, so that no
    count is ever spread over bins that it may not have come from.

    Each fold of the samples, see `folds.halves`, has counts of its own. By least squared error a range is chosen as
    shares of what was seen at most: those shares with which the range of one fold would serve the other best. So
    values are cut off only where another fold would not have missed them.
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
        self._folds = [_Fold()]
        self.reach = 0.0
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
        fold = self._folds[-1]
        fold.lo, fold.hi = min(fold.lo, lo), max(fold.hi, hi)
        self._reach_to(max(abs(lo), abs(hi), _LEAST_REACH))
        # As torch.histc counts, to the last bin, in a third of its time: it takes most of a calibration.
        bins = (values.float() * (_BINS / 2 / self.reach)).add_(_BINS / 2).to(torch.int16).reshape(-1)
        counts = torch.bincount(bins, minlength=_BINS + 1)
        fold.counts += counts[:_BINS]
        fold.counts[-1] += counts[_BINS]  # the upper end itself
        return x

    def begin_fold(self) -> None:
        """Count what comes apart from what came before."""
        if self._folds[-1].seen:
            self._folds.append(_Fold())

    @property
    def lo(self) -> float:
        """The least value that was seen."""
        return min(fold.lo for fold in self._folds)

    @property
    def hi(self) -> float:
        """The greatest value that was seen."""
        return max(fold.hi for fold in self._folds)

    @property
    def counts(self) -> Tensor:
        """How many values each bin holds, float64 of shape (bins,)."""
        return torch.stack([fold.counts for fold in self._folds]).sum(0)

    def _reach_to(self, extreme: float) -> None:
        if self.reach == 0:
            self.reach = 2.0 ** torch.tensor(extreme).log2().ceil().item()
        while self.reach < extreme:
            for fold in self._folds:
                pairs = fold.counts.view(-1, 2).sum(1)
                fold.counts = torch.zeros_like(fold.counts)
                fold.counts[_BINS // 4 : 3 * _BINS // 4] = pairs
            self.reach *= 2

    def histogram(self) -> tuple[Tensor, Tensor]:
        """Return the centres and the counts of the bins that hold something, float64 of shape (bins,)."""
        return self._filled(self.counts)

    def _filled(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        filled = torch.nonzero(counts)[:, 0]
        width = 2 * self.reach / _BINS
        centres = (-self.reach + width * (filled.double() + 0.5)).clamp(self.lo, self.hi)
        return centres, counts[filled]

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

    def choose(self, scale: float, zero_point: int = 0) -> None:
        """Take a scale and a zero point as they are: for values that are all zero, or what a training has learned."""
        self._chosen = scale, zero_point

    def _decide(self) -> tuple[Tensor, Tensor]:
        lo, hi = min(self.lo, 0.0), max(self.hi, 0.0)
        if self.idle:
            pass  # nothing to choose between
        elif self.ranges is Ranges.MSE and self.quant_max - self.quant_min > _BINS:
            # A bin does not tell how its values are rounded to steps narrower than itself, and there is nothing to be
            # won by clipping. What does clip are values that calibration never saw: steps enough are there for them.
            lo, hi = _HEADROOM * lo, _HEADROOM * hi
        elif self.ranges is Ranges.MSE:
            lows, highs = shares(both=lo < 0 < hi)
            best = int(self._errors(lows, highs).argmin())
            return self._spread(lo * lows[best], hi * highs[best])
        elif self.ranges is Ranges.PERCENTILE:
            values, counts = self.histogram()
            mass = counts.cumsum(0) / counts.sum()
            lo = min(0.0, values[int(torch.searchsorted(mass, _TAIL))].item())
            hi = max(0.0, values[min(int(torch.searchsorted(mass, 1 - _TAIL)), len(values) - 1)].item())
        ends = torch.tensor([lo, hi], dtype=torch.float64)
        return self._spread(ends[0], ends[1])

    def _errors(self, lows: Tensor, highs: Tensor) -> Tensor:
        """Return the squared error of each pair of shares: of one fold's extremes on the other's values."""
        limits = self.quant_min, self.quant_max
        folds = [fold for fold in self._folds if fold.seen]
        errors = torch.zeros_like(lows)
        for fit, judge in list(permutations(folds, 2)) or [(folds[0], folds[0])]:
            ends = min(fit.lo, 0.0) * lows, max(fit.hi, 0.0) * highs
            values, counts = self._filled(judge.counts)
            errors += quantization_error(values, counts, self._spread(*ends), *limits, self.after)
        return errors

    def _spread(self, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
        """Return scales and zero points for ranges; with steps evenly around zero, the larger end decides."""
        if self.qscheme is torch.per_tensor_symmetric:
            return symmetric_parameters(lo, hi, self.quant_max, self.eps)
        return affine_parameters(lo, hi, self.quant_min, self.quant_max, self.eps)

    def quantize(self, x: Tensor) -> Tensor:
        """Return ``x`` rounded to the chosen steps and back."""
        scale, zero_point = self.parameters_chosen
        if not self.finite:
            ends = ((end - zero_point) * scale for end in (self.quant_min, self.quant_max))
            x = x.nan_to_num(0.0).clamp(*ends)
        # As torch.fake_quantize_per_tensor_affine, to the bit, in a third of its time: it remembers what it clamped.
        steps = (x * (1 / scale)).round_().clamp_(self.quant_min - zero_point, self.quant_max - zero_point)
        return steps.mul_(scale)

    def pack(self, rounded: Tensor) -> Tensor:
        """Return what `quantize` gave as int8, a quarter of the memory; only of 8 bits."""
        scale, zero_point = self.parameters_chosen
        return to_int8(rounded, scale, zero_point)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return what was packed, to the bit."""
        scale, zero_point = self.parameters_chosen
        return from_int8(packed, scale, zero_point)

    def to_half(self, real: Tensor) -> Tensor:
        """Return float values as float16, a half of the memory, in a unit in which their range is about 1."""
        return (real / self._unit).clamp_(-_HALF_MOST, _HALF_MOST).half()

    def from_half(self, held: Tensor) -> Tensor:
        """Return what `to_half` gave in float32: 11 bits of each value, wherever the range lies."""
        return held.float().mul_(self._unit)

    @property
    def _unit(self) -> float:
        scale, _ = self.parameters_chosen
        return float(2.0 ** round(math.log2(scale * (self.quant_max - self.quant_min))))

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

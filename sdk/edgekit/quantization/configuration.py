"""How the values of each scheme are quantized, in the words of ExecuTorch's quantizer."""

from typing import assert_never

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import QuantizationConfig
from torchao.quantization.pt2e.quantizer import QuantizationSpec

from edgekit.quantization.dynamic import DynamicObserver, PerChannelGroupWeightObserver
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.spec import CPU_PLACING, Placing, QuantSpec, Scheme


def configuration(scheme: Scheme, spec: QuantSpec, placing: Placing = CPU_PLACING) -> QuantizationConfig:
    """Return what is done with inputs, outputs and weights; biases stay float here, each runtime has its own form.

    Args:
        scheme: The scheme.
        spec: How ranges are chosen.
        placing: Whether the steps of activations lie evenly around zero.

    Raises:
        ValueError: For the scheme that quantizes nothing.
    """
    match scheme:
        case Scheme.INT8 | Scheme.INT8_MIXED:
            activation = _static(torch.int8, spec, placing)
            return QuantizationConfig(activation, activation, weight(spec), None)
        case Scheme.W8A16:
            activation = _static(torch.int16, spec, placing)
            return QuantizationConfig(activation, activation, weight(spec), None)
        case Scheme.INT8_DYNAMIC:
            return QuantizationConfig(_dynamic(), None, weight(spec), None)
        case Scheme.W4_DYNAMIC:
            return QuantizationConfig(_dynamic(), None, group_weight(spec), None)
        case Scheme.FLOAT:
            raise ValueError("nothing is quantized")
        case _:
            assert_never(scheme)


def _static(dtype: torch.dtype, spec: QuantSpec, placing: Placing) -> QuantizationSpec:
    limits = torch.iinfo(dtype)
    return QuantizationSpec(
        dtype=dtype,
        quant_min=limits.min,
        quant_max=limits.max,
        qscheme=torch.per_tensor_symmetric if placing.symmetric else torch.per_tensor_affine,
        observer_or_fake_quant_ctr=HistogramObserver.with_args(ranges=spec.ranges),
    )


def _dynamic() -> QuantizationSpec:
    # Not marked `is_dynamic`: torchao then looks for operations of its own choice, and these are the observer's.
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=DynamicObserver,
    )


def weight(spec: QuantSpec, observer: type[PerChannelWeightObserver] = PerChannelWeightObserver) -> QuantizationSpec:
    """Return how a weight is stored in 8 bits, with a scale for each output channel."""
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,  # symmetric: -128 has no counterpart
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=observer.with_args(ranges=spec.ranges),
    )


def group_weight(
    spec: QuantSpec, observer: type[PerChannelWeightObserver] = PerChannelGroupWeightObserver
) -> QuantizationSpec:
    """Return how a weight is stored in 4 bits, with a scale for each group of an output channel."""
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-8,  # how XNNPACK knows that the values have 4 bits
        quant_max=7,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=observer.with_args(ranges=spec.ranges, group_size=spec.group_size),
    )

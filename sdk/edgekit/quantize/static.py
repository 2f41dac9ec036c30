"""Static int8: symmetric weights per output channel, affine activations per tensor, ranges from calibration.

The scheme is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (https://arxiv.org/abs/1712.05877), with weights per channel after Krishnamoorthi
(https://arxiv.org/abs/1806.08342). Where the operations lie is decided by ExecuTorch's XNNPACK quantizer.
"""

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import QuantizationConfig
from torch.export import export
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationSpec

from edgekit.errors import EdgeKitError, QuantizeError
from edgekit.graph import is_quantize
from edgekit.program import Captured, Quantized
from edgekit.samples import Samples
from edgekit.spec import Scheme

# The least scale. Zero would divide by zero; much less than this lets the int32 bias of a dead channel overflow, since
# its scale is the product of two; more (ExecuTorch has 2**-12) coarsens channels that batch norm made small.
_EPS = 2**-16


def quantize(captured: Captured, scheme: Scheme, calibration: Samples, *, batch: int) -> Quantized:
    """Quantize a captured program; the program itself is left as it was.

    Args:
        captured: The float program.
        scheme: The scheme.
        calibration: Samples that are typical of what the model will see.
        batch: Samples per calibration call.

    Raises:
        QuantizeError: If an operation cannot be quantized, or if nothing was quantized.
    """
    rows = min([batch, *captured.source.dimensions.values()])
    try:
        prepared = prepare_pt2e(
            captured.program.module(check_guards=False), XNNPACKQuantizer().set_global(_configuration())
        )
        with torch.no_grad():
            for part in calibration.batches(rows):
                prepared(*(torch.from_numpy(part.inputs[tensor.name]) for tensor in captured.source.inputs))
        converted = convert_pt2e(prepared)
        program = export(converted, captured.example, dynamic_shapes=captured.dynamic_shapes, strict=False)
    except EdgeKitError:
        raise
    except Exception as error:  # the quantizer raises many unrelated classes
        raise QuantizeError(
            f"{captured.source.name} cannot be quantized: {error}", hint="Run again with --debug to see where."
        ) from error
    if not any(is_quantize(node) for node in program.graph.nodes):
        raise QuantizeError(
            f"Nothing in {captured.source.name} was quantized: it has no convolution, linear, add or mul layer that "
            "the int8 scheme takes.",
            hint="Check that the model file builds the network you mean.",
        )
    return Quantized(captured=captured, scheme=scheme, program=program, calibration_sha256=calibration.digest)


def _configuration() -> QuantizationConfig:
    activation = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=_EPS),
    )
    weight = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,  # symmetric: -128 has no counterpart
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=_EPS),
    )
    # Biases stay float here: each runtime wants its own form of them, see `lower`.
    return QuantizationConfig(activation, activation, weight, None)

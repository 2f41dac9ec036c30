"""Quantization by a quantizer of the user's own: it says where values are rounded, by which observers."""

import copy

import torch
from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e
from torchao.quantization.pt2e.quantizer import Quantizer

from edgekit.data.samples import Samples
from edgekit.errors import EdgeKitError, QuantizeError
from edgekit.model.program import Captured, Quantized
from edgekit.quantization.static import batches, convert
from edgekit.spec import QuantSpec, Scheme


def quantize_by(captured: Captured, scheme: Scheme, quantizer: Quantizer, calibration: Samples) -> Quantized:
    """Quantize a captured program as a quantizer says, and take no step beside it; the program is left as it was.

    Args:
        captured: The float program.
        scheme: What the result is called: a static scheme with the bits that the quantizer rounds to.
        quantizer: Marks the nodes of a graph; its observers see the calibration samples.
        calibration: Samples that are typical of what the model will see.

    Raises:
        QuantizeError: If the quantizer or one of its observers fails, or if nothing was quantized.
    """
    spec = QuantSpec()
    try:
        # Copied: the module shares its parameters with the captured program, and they are about to change.
        prepared = prepare_pt2e(copy.deepcopy(captured.program.module(check_guards=False)), quantizer)
        with torch.no_grad():
            for batch in batches(captured, spec, calibration):
                prepared(*batch)
        return convert(prepared, captured, scheme, spec, calibration, ())
    except EdgeKitError:
        raise
    except Exception as error:  # whatever the quantizer and its observers raise
        raise QuantizeError(
            f"{captured.source.name} cannot be quantized by {type(quantizer).__name__}: {error}",
            hint="See docs/plug-ins.md for what is asked of it; run again with --debug to see where.",
        ) from error

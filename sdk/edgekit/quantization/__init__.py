"""Quantization: the captured program gets its int8 weights and the quantization parameters of its activations."""

from edgekit.quantization.own import quantize_by
from edgekit.quantization.static import quantize

__all__ = ["quantize", "quantize_by"]

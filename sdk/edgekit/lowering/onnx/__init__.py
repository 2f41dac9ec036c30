"""Lowering to ONNX: export the float or the quantized program, and tidy the int8 graph for ONNX Runtime."""

from edgekit.lowering.onnx.export import export_float, lower

__all__ = ["export_float", "lower"]

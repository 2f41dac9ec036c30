"""Lowering: the quantized program becomes the bytes of an artifact, one module per format."""

from edgekit.lowering.cached import export_float, kept, lower, name

__all__ = ["export_float", "kept", "lower", "name"]

"""Lowering: the quantized program becomes the bytes of an artifact, one module per format."""

"""ONNX files of others: onnx and ONNX Runtime read them in a process of their own, which needs no torch."""

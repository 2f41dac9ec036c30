"""Nvidia's TensorRT: an .onnx by the rules of its explicit quantization. It runs on GPUs of Nvidia's alone."""

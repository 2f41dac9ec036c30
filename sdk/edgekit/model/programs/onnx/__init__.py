"""ONNX files: read into modules that compute them in torch, with layers where the file has weights."""

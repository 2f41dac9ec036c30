"""The web: our .onnx in ONNX Runtime's WebAssembly, run here by Node.js, and a page that runs it in a browser."""

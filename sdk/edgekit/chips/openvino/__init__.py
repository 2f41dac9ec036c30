"""Intel's OpenVINO on a processor: an .onnx that its CPU plugin runs, here as on the device."""

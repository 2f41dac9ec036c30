"""The NPU of Qualcomm's Snapdragon: an .onnx of integers alone, run by the vendor's own library."""

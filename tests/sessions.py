"""ONNX Runtime as tests ask it, by itself: with the kernels that the SDK promises the answers of."""

from pathlib import Path

import onnxruntime


def exact_session(file: Path) -> onnxruntime.InferenceSession:
    """Return a session whose int8 kernels add without saturating, as ARM's do; without VNNI others do not."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(str(file), options)

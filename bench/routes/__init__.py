"""The routes from a trained network to artifacts: one module each, listed here as data."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way to build artifacts."""

    name: str
    title: str
    module: str
    """The module of the package ``bench.routes`` whose ``build`` does it."""
    files: tuple[str, ...]
    """The artifacts that it writes."""
    variant: str = ""
    """What the module is to do differently."""
    environment: str = ""
    """The peer environment, ``.bench/NAME``, that it needs; empty: EdgeKit's own."""
    ours: bool = False


_ALL = (
    Route(name="edgekit", title="**EdgeKit**", module="edgekit_route", files=("model.pte", "model.onnx"), ours=True),
    Route(
        name="executorch",
        title="ExecuTorch PT2E, stock",
        module="executorch_stock",
        files=("model.pte",),
        variant="one by one",
    ),
    Route(
        name="executorch-batches",
        title="ExecuTorch PT2E, calibrated in batches",
        module="executorch_stock",
        files=("model.pte",),
        variant="batches",
    ),
    Route(
        name="onnxruntime",
        title="ONNX Runtime quantize_static, defaults",
        module="onnxruntime_static",
        files=("model.onnx",),
        variant="defaults",
    ),
    Route(
        name="onnxruntime-per-channel",
        title="ONNX Runtime quantize_static, per channel",
        module="onnxruntime_static",
        files=("model.onnx",),
        variant="per channel",
    ),
    Route(
        name="onnxruntime-per-channel-u8s8",
        title="ONNX Runtime quantize_static, per channel, uint8 activations",
        module="onnxruntime_static",
        files=("model.onnx",),
        variant="per channel, uint8 activations",
    ),
    Route(
        name="nncf-pt2e",
        title="NNCF quantize_pt2e",
        module="nncf_route",
        files=("model.pte",),
        variant="pt2e",
        environment="nncf",
    ),
    Route(
        name="nncf-pt2e-min-max",
        title="NNCF quantize_pt2e, min-max ranges, no bias correction",
        module="nncf_route",
        files=("model.pte",),
        variant="pt2e, min-max",
        environment="nncf",
    ),
    Route(
        name="nncf-onnx",
        title="NNCF quantize, ONNX",
        module="nncf_route",
        files=("model.onnx",),
        variant="onnx",
        environment="nncf",
    ),
    Route(
        name="nncf-onnx-min-max",
        title="NNCF quantize, ONNX, min-max ranges, no bias correction",
        module="nncf_route",
        files=("model.onnx",),
        variant="onnx, min-max",
        environment="nncf",
    ),
    Route(
        name="litert",
        title="LiteRT with AI Edge Quantizer",
        module="litert_route",
        files=("model.tflite",),
        environment="litert",
    ),
)
ROUTES: Mapping[str, Route] = {route.name: route for route in _ALL}

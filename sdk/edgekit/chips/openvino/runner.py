"""The process that holds OpenVINO, ``python -m edgekit.chips.openvino.runner``: see `simulator`."""

import io
from typing import Any

import numpy as np
import openvino

from edgekit.base.frames import Facts
from edgekit.chips.simulator import Batch, Loaded, serve

_OPENVINO: Any = openvino  # its types are found when it is imported
# What multiplies; the rest only moves values, or costs nothing beside it.
_LAYERS = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}
_INTEGERS = {"i8", "u8"}


def load(data: bytes, facts: Facts) -> Loaded:
    """Load an .onnx, and see in which type each layer computes."""
    # What stays float is float32: processors with bfloat16 would take that for it by themselves.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    if not facts["integers"]:
        settings["LP_TRANSFORMS_MODE"] = "NO"  # each layer computes in float between its roundings
    core = _OPENVINO.Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(data)), "CPU", settings)
    outputs: Any = facts["outputs"]
    request = compiled.create_infer_request()
    ports = [compiled.output(name) for name in outputs]

    def run(batch: Batch) -> list[Any]:
        request.infer({name: np.ascontiguousarray(array) for name, array in batch.items()})
        return [np.array(request.get_tensor(port).data) for port in ports]

    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = [(_text(info, "layerType"), _text(info, "runtimePrecision"), info) for info in layers]
    found = [(kind, type_, info) for kind, type_, info in kinds if kind in _LAYERS]
    in_float: Any = [
        f"{kind} ({_text(info, 'originalLayersNames').split(',')[0]})"
        for kind, type_, info in found
        if type_ not in _INTEGERS
    ]
    figures: Any = {"int8_layers": len(found) - len(in_float), "float_layers": len(in_float)}
    return run, {"in_float": in_float, "figures": figures}, ()


def _text(info: Any, key: str) -> str:
    value = info[key]
    return str(value.astype(str) if hasattr(value, "astype") else value)


if __name__ == "__main__":
    serve(load)

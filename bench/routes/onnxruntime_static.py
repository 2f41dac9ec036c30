"""ONNX Runtime's static quantization of the exported float model, as its documentation has it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from bench.routes import float_onnx
from bench.routes.route import Clock, Task

_OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "per channel": {"per_channel": True},
    "per channel, uint8 activations": {"per_channel": True, "activation_type": QuantType.QUInt8},
}


class Reader(CalibrationDataReader):
    """Feed the samples one by one."""

    def __init__(self, name: str, samples: npt.NDArray[np.float32]) -> None:
        self.rows: Iterator[dict[str, npt.NDArray[np.float32]]] = iter([{name: row[None]} for row in samples])

    def get_next(self) -> Any:  # the base class says dict, and its callers wait for None
        """Return the next sample, or None after the last."""
        return next(self.rows, None)


def build(task: Task, clock: Clock) -> None:
    """Export, pre-process and quantize."""
    with clock("torch.onnx.export"):
        exported = float_onnx.export(task)
    prepared = task.folder / "prepared.onnx"
    with clock("quant_pre_process"):
        quant_pre_process(str(exported), str(prepared))
    with clock("quantize_static"):
        reader = Reader(task.input, task.calibration)
        quantize_static(str(prepared), str(task.folder / "model.onnx"), reader, **_OPTIONS[task.variant])

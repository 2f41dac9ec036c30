"""LiteRT: litert-torch's conversion, then AI Edge Quantizer's static int8 recipe.

Input and output stay float, as they are in the artifacts of all other routes.
"""

import litert_torch
import torch
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import TFLOperationName

from bench.routes.route import Clock, Task


def build(task: Task, clock: Clock) -> None:
    """Convert for batches of one, calibrate and quantize."""
    exported = task.folder / "float.tflite"
    with clock("convert"):
        example = (torch.from_numpy(task.calibration[:1]),)
        litert_torch.convert(task.model, example).export(str(exported))
    with clock("calibrate"):
        work = quantizer.Quantizer(str(exported))
        work.load_quantization_recipe(recipe.static_wi8_ai8())
        for operation in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            work.update_quantization_recipe(".*", operation, algorithm_key=AlgorithmName.NO_QUANTIZE)
        samples = [{"args_0": row[None]} for row in task.calibration]
        statistics = work.calibrate({"serving_default": samples})
    with clock("quantize"):
        work.quantize(statistics).export_model(str(task.folder / "model.tflite"))

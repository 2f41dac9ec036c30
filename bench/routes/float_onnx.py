"""The float ONNX that ONNX quantizers start from."""

from pathlib import Path

import torch
from torch.export import Dim

from bench.routes.route import LARGEST_BATCH, TRACED_BATCH, Task


def export(task: Task) -> Path:
    """Write the float model as ``float.onnx``, its batch symbolic, and return the path."""
    path = task.folder / "float.onnx"
    torch.onnx.export(
        task.model,
        (torch.from_numpy(task.calibration[:TRACED_BATCH]),),
        path,
        dynamo=True,
        external_data=False,
        verbose=False,
        dynamic_shapes=({0: Dim("batch", min=1, max=LARGEST_BATCH)},),
        input_names=[task.input],
        output_names=["logits"],
    )
    return path

"""ExecuTorch's PT2E recipe as its documentation has it, with weights per channel."""

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from torch.export import Dim, export
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from bench.routes.route import LARGEST_BATCH, TRACED_BATCH, Clock, Task

_BATCH = 64


def build(task: Task, clock: Clock) -> None:
    """Export, prepare, calibrate (one sample at a time, as the examples do, or in batches), convert and lower."""
    example = (torch.from_numpy(task.calibration[:TRACED_BATCH]),)
    shapes = ({0: Dim("batch", min=1, max=LARGEST_BATCH)},)
    size = {"one by one": 1, "batches": _BATCH}[task.variant]
    with clock("export"):
        captured = export(task.model, example, dynamic_shapes=shapes, strict=True)
    with clock("prepare"):
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        prepared = prepare_pt2e(captured.module(), quantizer)
    with clock("calibrate"), torch.no_grad():
        for part in torch.split(torch.from_numpy(task.calibration), size):
            prepared(part)
    with clock("convert"):
        converted = convert_pt2e(prepared)
    with clock("export again"):
        quantized = export(converted, example, dynamic_shapes=shapes, strict=True)
    with clock("lower .pte"):
        program = to_edge_transform_and_lower(quantized, partitioner=[XnnpackPartitioner()]).to_executorch()
        (task.folder / "model.pte").write_bytes(program.buffer)

"""NNCF: its PT2E path, with ExecuTorch's own XNNPACK quantizer and lowering, and its ONNX path.

At its defaults, and without its fast bias correction and with plain min-max ranges. On the plain CNN's calibration
samples its ONNX path gave 21.5 dB at the defaults, and 37.0 dB so: that is the stronger peer.
"""

from typing import Any

import nncf
import onnx
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from nncf.experimental.torch.fx import quantize_pt2e
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from torch.export import Dim, export

from bench.routes import float_onnx
from bench.routes.route import LARGEST_BATCH, TRACED_BATCH, Clock, Task


def build(task: Task, clock: Clock) -> None:
    """Build the artifact of one of the two paths."""
    path, _, tuning = task.variant.partition(", ")
    if path == "pt2e":
        _pt2e(task, clock, min_max=bool(tuning))
    else:
        _onnx(task, clock, min_max=bool(tuning))


def _pt2e(task: Task, clock: Clock, *, min_max: bool) -> None:
    example = (torch.from_numpy(task.calibration[:TRACED_BATCH]),)
    shapes = ({0: Dim("batch", min=1, max=LARGEST_BATCH)},)
    options: dict[str, Any] = {}
    if min_max:
        options["activations_range_estimator_params"] = RangeEstimatorParametersSet.MINMAX
        options["fast_bias_correction"] = None
    with clock("export"):
        captured = export(task.model, example, dynamic_shapes=shapes, strict=True)
    with clock("quantize_pt2e"), torch.no_grad():
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        samples = nncf.Dataset([row[None] for row in torch.from_numpy(task.calibration)])
        # Guards are left out: NNCF takes a call of the guard function for an operation and fails on it.
        converted = quantize_pt2e(
            captured.module(check_guards=False), quantizer, samples, subset_size=len(task.calibration), **options
        )
    with clock("export again"):
        quantized = export(converted, example, dynamic_shapes=shapes, strict=True)
    with clock("lower .pte"):
        program = to_edge_transform_and_lower(quantized, partitioner=[XnnpackPartitioner()]).to_executorch()
        (task.folder / "model.pte").write_bytes(program.buffer)


def _onnx(task: Task, clock: Clock, *, min_max: bool) -> None:
    options: dict[str, Any] = {}
    if min_max:
        options["advanced_parameters"] = AdvancedQuantizationParameters(
            disable_bias_correction=True, activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        )
    with clock("torch.onnx.export"):
        exported = float_onnx.export(task)
    with clock("nncf.quantize"):
        samples = nncf.Dataset([{task.input: row[None]} for row in task.calibration])
        quantized = nncf.quantize(onnx.load(exported), samples, subset_size=len(task.calibration), **options)
        onnx.save(quantized, task.folder / "model.onnx")

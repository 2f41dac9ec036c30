"""The stock recipes of both formats, as their documentation has them, for one network with a batch of one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.export import export
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e


class Reader(CalibrationDataReader):
    """Feeds the samples one by one."""

    def __init__(self, names: list[str], samples: list[Tensor]) -> None:
        """Take the names of the inputs, and their samples."""
        rows = range(len(samples[0]))
        self.rows: Iterator[dict[str, Any]] = iter(
            [{name: tensor[row : row + 1].numpy() for name, tensor in zip(names, samples, strict=True)} for row in rows]
        )

    def get_next(self) -> Any:  # the base class says dict, and its callers wait for None
        """Return the next sample, or None after the last."""
        return next(self.rows, None)


def pte(model: nn.Module, samples: list[Tensor], folder: Path) -> None:
    """Write ``model.pte`` by ExecuTorch's PT2E recipe, with weights per channel."""
    example = tuple(tensor[:1] for tensor in samples)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(export(model, example).module(), quantizer)
    with torch.no_grad():
        for row in range(len(samples[0])):
            prepared(*[tensor[row : row + 1] for tensor in samples])
    quantized = export(convert_pt2e(prepared), example)
    program = to_edge_transform_and_lower(quantized, partitioner=[XnnpackPartitioner()]).to_executorch()
    (folder / "model.pte").write_bytes(program.buffer)


def onnx(model: nn.Module, samples: list[Tensor], folder: Path, weights: QuantType) -> None:
    """Write ``model.onnx`` by ONNX Runtime's ``quantize_static``, per channel, from the exported float model.

    That model is beside the folder, for all kinds of weights: its export takes most of the time.
    """
    example = tuple(tensor[:1] for tensor in samples)
    names = [f"x{number}" for number in range(len(samples))]
    plain, prepared = folder.parent / "float.onnx", folder.parent / "prepared.onnx"
    if not prepared.is_file():
        torch.onnx.export(
            model, example, str(plain), input_names=names, dynamo=True, external_data=False, verbose=False
        )
        quant_pre_process(str(plain), str(prepared))
    quantize_static(
        str(prepared), str(folder / "model.onnx"), Reader(names, samples), per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=weights,
    )  # fmt: skip

"""The stock recipes, static and dynamic, and the float files of the same exporters."""

from pathlib import Path
from typing import Any

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.export import export
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from bench.zoo.entry import Entry
from tests.operators import stock


def build(
    recipe: str, entry: Entry, model: nn.Module, samples: list[Tensor], _: list[Tensor], folder: Path
) -> dict[str, Any]:
    """Write the file of a recipe: ``model.pte`` or ``model.onnx``, or ``float.pte`` and ``float.onnx``."""
    example = tuple(tensor[:1] for tensor in samples)
    dynamic = entry.scheme == "int8-dynamic"
    match recipe:
        case "stock-pte" if dynamic:
            _dynamic_pte(model, example, folder)
        case "stock-pte":
            stock.pte(model, samples, folder)
        case "stock-onnx" if dynamic:
            _export(model, example, folder)
            quant_pre_process(str(folder / "float.onnx"), str(folder / "prepared.onnx"))
            quantize_dynamic(str(folder / "prepared.onnx"), str(folder / "model.onnx"), per_channel=True)
        case "stock-onnx":
            stock.onnx(model, samples, folder, QuantType.QInt8)
        case "float":
            _export(model, example, folder)
            program = to_edge_transform_and_lower(export(model, example), partitioner=[XnnpackPartitioner()])
            (folder / "float.pte").write_bytes(program.to_executorch().buffer)
    return {}


def _export(model: nn.Module, example: tuple[Tensor, ...], folder: Path) -> None:
    names = [f"x{number}" for number in range(len(example))]
    file = str(folder / "float.onnx")
    torch.onnx.export(model, example, file, input_names=names, dynamo=True, external_data=False, verbose=False)


def _dynamic_pte(model: nn.Module, example: tuple[Tensor, ...], folder: Path) -> None:
    configuration = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    prepared = prepare_pt2e(export(model, example).module(), XNNPACKQuantizer().set_global(configuration))
    with torch.no_grad():
        prepared(*example)
    quantized = export(convert_pt2e(prepared), example)
    program = to_edge_transform_and_lower(quantized, partitioner=[XnnpackPartitioner()]).to_executorch()
    (folder / "model.pte").write_bytes(program.buffer)

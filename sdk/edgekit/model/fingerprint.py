"""What identifies a captured or quantized program: equal fingerprints lower to the same bytes.

``torch.export.save`` does not write the same bytes twice, so the graph is read as text and the tensors by value.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from edgekit.base import digest
from edgekit.model.graph import module_path
from edgekit.model.program import Source


def of_program(program: ExportedProgram, source: Source) -> str | None:
    """Return a digest of a program: its nodes, signature, ranges of symbols and tensors, and the names around it.

    Args:
        program: The program.
        source: What it was captured from; artifacts carry the names of its inputs and outputs.

    Returns:
        The digest in hexadecimal, or None for a program that holds what cannot be read by value.
    """
    held = {**program.state_dict, **program.constants}
    if not all(isinstance(value, Tensor) for value in held.values()):
        return None
    graphs = {
        path: [_line(node) for node in module.graph.nodes]
        for path, module in program.graph_module.named_modules()
        if isinstance(module, fx.GraphModule)
    }
    return digest.of_json(
        {
            "source": [
                source.name,
                *(spec.model_dump(mode="json") for spec in (*source.inputs, *source.outputs)),
                {name: size.model_dump(mode="json") for name, size in source.dimensions.items()},
                list(source.labels),
                source.preprocessing and source.preprocessing.model_dump(mode="json"),
                source.audio and source.audio.model_dump(mode="json"),
            ],
            "graphs": graphs,
            "signature": str(program.graph_signature),
            "ranges": sorted(f"{symbol}: {range_}" for symbol, range_ in program.range_constraints.items()),
            "tensors": digest.of_arrays({_described(name, value): _bytes(value) for name, value in held.items()}),
        }
    )


def _line(node: fx.Node) -> str:
    values = node.meta.get("val")
    known = [_shape(value) for value in values] if isinstance(values, list | tuple) else _shape(values)
    parts = (node.op, node.name, str(node.target), node.args, node.kwargs, known, module_path(node))
    return " ".join(map(repr, parts))


def _shape(value: object) -> str:
    if not isinstance(value, Tensor):
        return str(value)
    return f"{value.dtype} {tuple(value.shape)} {value.stride() if value.layout is torch.strided else value.layout}"


def _described(name: str, tensor: Tensor) -> str:
    return f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad}"


def _bytes(tensor: Tensor) -> npt.NDArray[np.uint8]:
    # As bytes: NumPy knows no bfloat16.
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy() if flat.numel() else np.zeros(0, np.uint8)

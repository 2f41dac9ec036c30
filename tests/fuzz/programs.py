"""Programs: files that hold a whole network, small ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgekit.model import programs
from edgekit.model.onnxfiles import process
from edgekit.model.onnxfiles.worker import Worker
from tests.fuzz.formats import Format

_SHAPES: dict[str, list[str | int | None]] = {"x": ["n", 2, 4, 4], "y": ["n", 4]}


class _Net(nn.Module):
    """Has a layer, a buffer, a constant and a size that varies."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("offset", torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 3)."""
        found: Tensor = self.linear(x).relu() + self.offset + torch.arange(3)
        return found


def _exported(folder: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(_Net().eval(), (torch.zeros(2, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "a.pt2")


def _script(folder: Path) -> None:
    torch.jit.save(torch.jit.script(_Net().eval()), folder / "a.pt")


def _onnx(folder: Path) -> None:
    weights = [
        numpy_helper.from_array(np.ones((3, 2, 3, 3), np.float32), "conv.weight"),
        numpy_helper.from_array(np.ones((4, 12), np.float32), "head.weight"),
        numpy_helper.from_array(np.array([0, -1]), "sizes"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Reshape", ["b", "sizes"], ["c"]),
        helper.make_node("Gemm", ["c", "head.weight"], ["y"], transB=1),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in _SHAPES.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "a.onnx").write_bytes(found.SerializeToString())


class _Here:
    """What reads ONNX files natively, without a process for each: a crash is then one of the worker."""

    def __init__(self, module: str, *, memory: int) -> None:
        self._worker = Worker()

    def ask(self, facts: Any, parts: Any, *, seconds: float, most: int) -> Any:
        facts, found = self._worker.answer(facts, [bytes(part) for part in parts])
        return facts, [bytes(part) for part in found]

    def close(self) -> None:
        pass


process.Child = _Here  # type: ignore[assignment,attr-defined]


def _read(file: str) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        found = programs.of_object(folder / file)
        if found is not None and found.inputs is not None:
            programs.describe(found)

    return read


PROGRAMS = (
    Format(name="pt2", file="a.pt2", kind="zip", make=_exported, read=_read("a.pt2"), share=1),
    Format(name="torchscript", file="a.pt", kind="zip", make=_script, read=_read("a.pt"), share=1),
    Format(name="onnx model", file="a.onnx", kind="", make=_onnx, read=_read("a.onnx"), share=1),
)

"""Looking into files: what is found, and what damage looks like."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.errors import BundleError, RunError
from edgekit.inspection import BundleFolder, OnnxFile, PteFile, TraceFile, inspect_file
from edgekit.inspection.values import Count, Weights
from tests.unit import examples


def write_onnx(path: Path) -> Path:
    """Write a model that quantizes, dequantizes and adds."""
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(3, np.uint8), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Add", ["d", "d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [scale, zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], producer_name="us", ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_onnx(tmp_path: Path) -> None:
    """Opset, shapes with symbolic dimensions, operators, quantization and weights."""
    found = inspect_file(write_onnx(tmp_path / "m.onnx"))
    assert isinstance(found, OnnxFile)
    assert found.opsets == (Count(name="ai.onnx", count=20),)
    assert (found.ir_version, found.producer) == (10, "us")
    assert [(t.name, t.dtype, t.shape) for t in found.inputs] == [("x", "float32", ("batch", 4))]
    assert (found.quantize_nodes, found.dequantize_nodes, found.dynamic_quantize_nodes) == (1, 1, 0)
    assert Count(name="Add", count=1) in found.operators
    assert found.weights == (
        Weights(dtype="float32", tensors=1, bytes=4),
        Weights(dtype="uint8", tensors=1, bytes=1),
    )


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_damaged_onnx(tmp_path: Path, keep: int) -> None:
    """Empty and cut off files are told from models."""
    path = write_onnx(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"m\.onnx is damaged") as caught:
        inspect_file(path)
    assert caught.value.hint


def test_trace(tmp_path: Path) -> None:
    """Origin and shapes."""
    found = inspect_file(examples.write_baseline(tmp_path / "b.npz"))
    assert isinstance(found, TraceFile)
    assert (found.samples, found.labels, found.program) == (4, True, "float")
    assert found.outputs[0].shape == (4, 10)
    assert "H200" in found.place


def test_damaged_trace(tmp_path: Path) -> None:
    """A cut off archive."""
    path = examples.write_baseline(tmp_path / "b.npz")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BundleError, match=r"b\.npz"):
        inspect_file(path)


def test_bundle(tmp_path: Path) -> None:
    """Every file that the manifest names is checked."""
    found = inspect_file(examples.write_bundle(tmp_path / "b"))
    assert isinstance(found, BundleFolder)
    assert [file.file for file in found.files] == [
        "model.pte",
        "model.onnx",
        "golden/0.image.bin",
        "golden/0.logits.bin",
    ]
    assert inspect_file(tmp_path / "b" / "manifest.json") == found


@pytest.mark.parametrize("file", ["model.pte", "golden/0.logits.bin"])
def test_bundle_with_a_changed_file(tmp_path: Path, file: str) -> None:
    """One changed bit is found and named."""
    folder = examples.write_bundle(tmp_path / "b")
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(BundleError, match=file):
        inspect_file(folder)


def test_bundle_with_missing_files(tmp_path: Path) -> None:
    """All that are missing are named."""
    folder = examples.write_bundle(tmp_path / "b")
    (folder / "model.onnx").unlink()
    (folder / "golden/0.image.bin").unlink()
    with pytest.raises(BundleError, match=r"(?s)model\.onnx.*golden/0\.image\.bin"):
        inspect_file(folder)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    """The manifest makes the bundle."""
    with pytest.raises(BundleError, match=r"manifest\.json"):
        inspect_file(tmp_path)


@pytest.mark.parametrize("name", ["m.txt", "m"])
def test_unknown_kinds(tmp_path: Path, name: str) -> None:
    """Other files are refused by name."""
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BundleError, match="of no kind"):
        inspect_file(tmp_path / name)


def test_what_is_no_pte(tmp_path: Path) -> None:
    """A wrong beginning is found without loading ExecuTorch."""
    (tmp_path / "m.pte").write_bytes(b"\0" * 64)
    with pytest.raises(RunError, match="does not begin like a"):
        inspect_file(tmp_path / "m.pte")


def program() -> Any:
    """Return a captured linear layer, which XNNPACK takes, and a cumulative sum, which it does not."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(64, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(self.linear(x), 1)

    return torch.export.export(Net().eval(), (torch.zeros(2, 64),))


# Importing and lowering warns about ExecuTorch's own use of torch.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_pte(tmp_path: Path) -> None:
    """Pins the private reader in ``inspect.pte``: a program with a delegate, an operator outside it, and weights."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    path = tmp_path / "m.pte"
    path.write_bytes(to_edge_transform_and_lower(program(), partitioner=[XnnpackPartitioner()]).to_executorch().buffer)
    found = inspect_file(path)
    assert isinstance(found, PteFile)
    assert [(item.backend, item.count) for item in found.delegates] == [("XnnpackBackend", 1)]
    assert found.delegates[0].bytes > 0
    assert [item.name for item in found.operators] == ["aten::cumsum.out"]
    assert [(t.dtype, t.shape, t.bound) for t in found.inputs] == [("float32", (2, 64), False)]
    assert [t.shape for t in found.outputs] == [(2, 8)]
    assert found.constant_bytes >= 64 * 8 * 4
    assert found.bytes == path.stat().st_size

    path.write_bytes(path.read_bytes()[: found.bytes // 2])
    with pytest.raises(RunError, match="damaged"):
        inspect_file(path)

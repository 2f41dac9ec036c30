"""ONNX files as models: operators against ONNX Runtime, dynamic sizes, the same quality in int8, hostile files."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.export import Dim

import edgekit
from edgekit.base import external
from edgekit.errors import EdgeKitError, SourceError
from edgekit.model import programs
from edgekit.model.capture import capture
from edgekit.model.onnxfiles import process
from edgekit.model.onnxfiles.worker import Worker
from edgekit.model.source import samples_of
from edgekit.spec import Dimension
from tests.programs.networks import Small, Tokens, WellNamed, images
from tests.programs.test_exported import project_of, quantized_db

PICTURES = torch.from_numpy(images(64, 0).inputs["image"])
RANDOM = np.random.default_rng(0)


def exported(model: nn.Module, example: tuple[Tensor, ...], path: Path, form: str, opset: int = 17) -> Path:
    """Export with the exporter of TorchScript or that of torch.export, with a batch that varies."""
    model.eval()
    if form == "new":
        batch = Dim("batch", min=1, max=64)
        torch.onnx.export(
            model, example, path, dynamo=True, dynamic_shapes=({0: batch},) * len(example), verbose=False,
            external_data=False,
        )  # fmt: skip
    else:
        names = [f"x.{number}" for number in range(len(example))]
        torch.onnx.export(
            model, example, path, dynamo=False, input_names=names, output_names=["y"], opset_version=opset,
            dynamic_axes={name: {0: "rows"} for name in (*names, "y")},
        )  # fmt: skip
    return path


class Vision(nn.Module):
    """What convolutional networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding="same"), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2, 2, 0)
        )
        self.group = nn.Sequential(nn.GroupNorm(2, 8), nn.LeakyReLU(0.1), nn.AvgPool2d(2, ceil_mode=True))
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2), nn.PReLU(4), nn.Upsample(scale_factor=2))
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Return a picture (batch, 2, 16, 16)."""
        left = self.stem(x)
        right = self.up(self.group(left))
        both = torch.cat([nn.functional.interpolate(left, size=(8, 8), mode="bilinear"), right], 1)
        first, second = nn.functional.pad(both, (0, 0, 0, 0, 0, 4)).chunk(2, 1)
        found: Tensor = self.shuffle(torch.clamp(first + second, 0, 6)) * torch.sigmoid(x.mean((1, 2, 3), keepdim=True))
        return found


class Words(nn.Module):
    """Embeddings, positions, attention with a mask, a GELU and a norm; integers go in."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, 16), nn.Embedding(6, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu", norm_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return scores (batch, 5)."""
        x = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        x = self.layer(x) * mask.unsqueeze(-1)
        found: Tensor = self.head(x.sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0))
        return found


class Sound(nn.Module):
    """Convolutions of one dimension and recurrent layers in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(4, 8, 3, stride=2, padding=1), nn.ELU(), nn.InstanceNorm1d(8, affine=True))
        self.lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities (batch, 3)."""
        states, _ = self.lstm(self.conv(x).transpose(1, 2))
        found: Tensor = self.head(self.gru(states)[0][:, -1]).log_softmax(-1)
        return found


TOKENS = torch.randint(0, 20, (3, 6), generator=torch.Generator().manual_seed(0))
CASES: list[tuple[nn.Module, tuple[Tensor, ...]]] = [
    (Small(), (PICTURES[:3],)),
    (Tokens(), (torch.randn(3, 6, 8),)),
    (Vision(), (PICTURES[:3],)),
    (Words(), (TOKENS, torch.ones(3, 6))),
    (Sound(), (torch.randn(3, 4, 10),)),
    (WellNamed(), (torch.randn(3, 8),)),
]


@pytest.mark.parametrize("form", ["old", "new"])
@pytest.mark.parametrize(("model", "example"), CASES, ids=[type(model).__name__ for model, _ in CASES])
def test_a_file_computes_what_the_module_does(
    model: nn.Module, example: tuple[Tensor, ...], form: str, tmp_path: Path
) -> None:
    """At 1, 16 and 64 samples, captured with a batch that varies."""
    path = exported(model, example, tmp_path / "net.onnx", form)
    source = programs.source_of(None, path, None)
    assert source.dimensions == {str(source.inputs[0].shape[0]): Dimension(max=64)}
    many = tuple(torch.cat([one] * 22)[:64] for one in example)
    captured = capture(source, samples_of([many], source, what="samples"))
    program = captured.program.module(check_guards=False)
    with torch.no_grad():
        for rows in (1, 16, 64):
            given = tuple(one[:rows] for one in many)
            wanted = model(*given)
            (found,) = source.model(*given).values()
            assert torch.allclose(found, wanted, atol=1e-4)
            assert torch.allclose(program(*given), wanted, atol=1e-4)


def test_what_crashes_a_native_reader_is_an_error(tmp_path: Path) -> None:
    """In any of its questions: the process that asks goes on."""
    path = exported(WellNamed(), (torch.randn(3, 8),), tmp_path / "net.onnx", "old")
    for when in ("before", "after"):
        runtime = process.OnnxProcess(path)
        os.kill(runtime._child._process.pid, signal.SIGSEGV if when == "after" else signal.SIGKILL)
        with pytest.raises(SourceError, match=r"net\.onnx crashes .SIG(SEGV|KILL). when it is read"):
            runtime.run({"x.0": np.zeros((3, 8), np.float32)})


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Bytes in place of a name: a SourceError."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["xx"], ["yy"])],
        "g",
        [helper.make_tensor_value_info("xx", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("yy", TensorProto.FLOAT, ["n", 4])],
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    (tmp_path / "net.onnx").write_bytes(data.replace(b"xx", b"\xff\xfe"))
    with pytest.raises(SourceError, match=r"net\.onnx"):
        programs.of_object(tmp_path / "net.onnx")


def test_what_is_made_in_a_symbolic_size(tmp_path: Path) -> None:
    """Places up to a length that varies, and a constant written that often: tensors, not lists of numbers."""
    nodes = [
        helper.make_node("Shape", ["x"], ["rows"], start=0, end=1),
        helper.make_node("Squeeze", ["rows"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["places"]),
        helper.make_node("Cast", ["places"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Expand", ["half", "rows"], ["halves"]),
        helper.make_node("Add", ["steps", "halves"], ["sum"]),
        helper.make_node("Unsqueeze", ["sum", "ones"], ["column"]),
        helper.make_node("Mul", ["x", "column"], ["y"]),
    ]
    constants: dict[str, Any] = {
        "zero": np.array(0, np.int64), "one": np.array(1, np.int64), "half": np.array(0.5, np.float32),
        "ones": np.array([1], np.int64),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    source = programs.source_of(None, tmp_path / "net.onnx", None)
    samples = torch.ones(64, 4)
    program = capture(source, samples_of([samples], source, what="samples")).program.module(check_guards=False)
    for rows in (1, 16, 64):
        wanted = (torch.arange(rows) + 0.5)[:, None].expand(rows, 4)
        (found,) = source.model(samples[:rows]).values()
        assert torch.allclose(found, wanted)
        assert torch.allclose(program(samples[:rows]), wanted)


@pytest.mark.parametrize("opset", [14, 16, 18, 20])
def test_opsets(opset: int, tmp_path: Path) -> None:
    """Axes are attributes or inputs, norms are one node or many."""
    path = exported(Words(), (TOKENS, torch.ones(3, 6)), tmp_path / "net.onnx", "old", opset)
    assert programs.source_of(None, path, None).inputs[0].name == "x_0"


@pytest.mark.parametrize("form", ["old", "new"])
def test_a_file_is_quantized_as_the_module_is(form: str, tmp_path: Path) -> None:
    """Within a decibel, although batch norms were folded by the exporter."""
    torch.manual_seed(0)
    model = Small()
    expected = quantized_db(model, PICTURES, PICTURES[:2])
    assert expected > 30
    path = exported(model, (PICTURES[:2],), tmp_path / "net.onnx", form)
    assert quantized_db(path, PICTURES) > expected - 1


def test_layers_keep_their_paths(tmp_path: Path) -> None:
    """By the names of the weights, or of the bias where the exporter turned the weight."""
    source = programs.source_of(None, exported(Tokens(), (torch.randn(3, 6, 8),), tmp_path / "net.onnx", "new"), None)
    layers = [name for name, module in source.model.named_modules() if isinstance(module, nn.Linear | nn.LayerNorm)]
    assert layers == ["norm", "query", "key", "value", "output"]
    assert all(module.bias is not None for module in source.model.modules() if isinstance(module, nn.Linear))


def graph_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[Any, ...]],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 18,
    dtype: int = TensorProto.FLOAT,
    outputs: tuple[str, ...] = ("y",),
) -> onnx.ModelProto:
    """Make a model of some nodes."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


def array(*shape: int) -> np.ndarray:
    """Return numbers of a normal distribution."""
    return RANDOM.standard_normal(shape).astype(np.float32)


def number(value: float) -> np.ndarray:
    """Return one number."""
    return np.array(value, dtype=np.float32)


def ints(*values: int) -> np.ndarray:
    """Return integers."""
    return np.array(values, dtype=np.int64)


ONE = [
    "Abs", "Neg", "Exp", "Sqrt", "Reciprocal", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Tanh", "Sigmoid", "Relu",
    "Erf", "Ceil", "Floor", "Round", "Sign", "Softsign", "Softplus", "HardSwish", "Mish", "Selu", "Identity",
    "LeakyRelu", "Elu", "Celu", "ThresholdedRelu", "HardSigmoid", "GlobalAveragePool", "GlobalMaxPool", "Softmax",
    "LogSoftmax",
    "Flatten", "Transpose", "LpNormalization", "Size", "Shape", "ReduceMean", "ReduceMax",
    "ReduceSum", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd", "ReduceLogSumExp", "ArgMax",
    "ArgMin", "Dropout",
]  # fmt: skip
N = helper.make_node
MORE: dict[str, tuple[list[onnx.NodeProto], dict[str, np.ndarray]]] = {
    **{op: ([N(op, ["x", "c"], ["y"])], {"c": array(2, 4, 6, 6)}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")},
    "scalar": ([N("Mul", ["x", "c"], ["a"]), N("Pow", ["a", "d"], ["y"])], {"c": number(0.3), "d": number(2)}),
    "mod": ([N("Mod", ["x", "c"], ["y"], fmod=1)], {"c": number(0.7)}),
    "where": ([N("Greater", ["x", "c"], ["m"]), N("Where", ["m", "x", "c"], ["y"])], {"c": number(0.1)}),
    "logic": (
        [
            N("Less", ["x", "c"], ["a"]), N("Not", ["a"], ["b"]), N("Xor", ["a", "b"], ["d"]),
            N("Cast", ["d"], ["y"], to=1),
        ],
        {"c": number(0.1)},
    ),
    "clip": ([N("Clip", ["x", "a", "b"], ["y"])], {"a": number(-0.3), "b": number(0.4)}),
    "gemm": (
        [N("Flatten", ["x"], ["f"]), N("Gemm", ["f", "w", "b"], ["y"], alpha=0.5)],
        {"w": array(144, 3), "b": array(3)},
    ),
    "matmul": ([N("MatMul", ["x", "w"], ["a"]), N("Add", ["b", "a"], ["y"])], {"w": array(6, 3), "b": array(3)}),
    "conv same": ([N("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])], {"w": array(3, 4, 3, 3)}),
    "conv sides": ([N("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 1], group=2)], {"w": array(4, 2, 3, 3)}),
    "transposed": (
        [N("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2, 2], pads=[0, 0, 1, 1], output_padding=[1, 0])],
        {"w": array(4, 3, 3, 3), "b": array(3)},
    ),
    "max pool": ([N("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])], {}),
    "mean pool": ([N("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)], {}),
    "batch norm": (
        [N("BatchNormalization", ["x", "w", "b", "m", "v"], ["y"])],
        {"w": array(4), "b": array(4), "m": array(4), "v": np.abs(array(4)) + 0.1},
    ),
    "layer norm": ([N("LayerNormalization", ["x", "w", "b"], ["y"], axis=-2)], {"w": array(6, 6), "b": array(6, 6)}),
    "instance": ([N("InstanceNormalization", ["x", "w", "b"], ["y"])], {"w": array(4), "b": array(4)}),
    "lrn": ([N("LRN", ["x"], ["y"], size=3)], {}),
    "split": ([N("Split", ["x", "s"], ["a", "b"], axis=1), N("Concat", ["b", "a"], ["y"], axis=1)], {"s": ints(1, 3)}),
    "slice": (
        [N("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        {"s": ints(1, -1), "e": ints(9999, -99999), "a": ints(2, 3), "t": ints(2, -1)},
    ),
    "gather": ([N("Gather", ["x", "i"], ["y"], axis=2)], {"i": np.array([[0, -1], [2, 3]])}),
    "gather one": ([N("Gather", ["x", "i"], ["y"], axis=1)], {"i": np.array(-2)}),
    "gather elements": (
        [N("GatherElements", ["x", "i"], ["y"], axis=3)], {"i": np.zeros((2, 4, 6, 2), dtype=np.int64)}
    ),
    "squeeze": ([N("Unsqueeze", ["x", "a"], ["b"]), N("Squeeze", ["b", "a"], ["y"])], {"a": ints(0, -1)}),
    "expand": (
        [N("ReduceMean", ["x", "a"], ["b"]), N("Expand", ["b", "s"], ["y"])], {"a": ints(3), "s": ints(1, 1, 5)}
    ),
    "tile": ([N("Tile", ["x", "r"], ["y"])], {"r": ints(1, 2, 1, 3)}),
    "pad": ([N("Pad", ["x", "p"], ["y"], mode="reflect")], {"p": ints(0, 0, 1, 2, 0, 0, 2, 1)}),
    "pad axes": ([N("Pad", ["x", "p", "v", "a"], ["y"])], {"p": ints(1, 2), "v": number(0.5), "a": ints(1)}),
    "depth to space": ([N("DepthToSpace", ["x"], ["y"], blocksize=2)], {}),
    "space to depth": ([N("SpaceToDepth", ["x"], ["y"], blocksize=2)], {}),
    "crd": ([N("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")], {}),
    "resize nearest": (
        [N("Resize", ["x", "", "s"], ["y"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"s": np.array([1, 1, 2, 2], dtype=np.float32)},
    ),
    "resize linear": ([N("Resize", ["x", "", "", "s"], ["y"], mode="linear")], {"s": ints(2, 4, 9, 4)}),
    "resize corners": (
        [N("Resize", ["x", "", "", "s"], ["y"], mode="cubic", coordinate_transformation_mode="align_corners")],
        {"s": ints(2, 4, 9, 4)},
    ),
    "top k": ([N("TopK", ["x", "k"], ["y", "i"], axis=-1)], {"k": ints(3)}),
    "cumsum": ([N("CumSum", ["x", "a"], ["y"])], {"a": np.array(1)}),
    "trilu": ([N("Trilu", ["x", "k"], ["y"], upper=0)], {"k": np.array(1)}),
    "one hot": (
        [N("ArgMax", ["x"], ["i"], axis=1), N("OneHot", ["i", "d", "v"], ["y"], axis=1)],
        {"d": np.array(4), "v": np.array([0.5, 2.0], dtype=np.float32)},
    ),
    "einsum": ([N("Einsum", ["x", "x"], ["y"], equation="bchw,bchv->bcwv")], {}),
    "scatter": (
        [N("ScatterElements", ["x", "i", "u"], ["y"], axis=3)],
        {"i": np.zeros((2, 4, 6, 1), dtype=np.int64), "u": array(2, 4, 6, 1)},
    ),
    "scatter nd": ([N("ScatterND", ["x", "i", "u"], ["y"])], {"i": np.array([[0], [1]]), "u": array(2, 4, 6, 6)}),
    "gather nd": ([N("GatherND", ["x", "i"], ["y"])], {"i": np.array([[0, 1], [1, 3]])}),
    "prelu": ([N("PRelu", ["x", "s"], ["y"])], {"s": array(4, 1, 1)}),
    "shapes": (
        [
            N("Shape", ["x"], ["s"]), N("Gather", ["s", "zero"], ["n"]), N("Unsqueeze", ["n", "a"], ["u"]),
            N("Concat", ["u", "minus"], ["t"], axis=0), N("Reshape", ["x", "t"], ["y"]),
        ],
        {"zero": np.array(0), "a": ints(0), "minus": ints(-1)},
    ),
    "sized": (
        [
            N("Shape", ["x"], ["s"], start=2), N("Cast", ["s"], ["f"], to=1), N("Mul", ["f", "two"], ["g"]),
            N("Floor", ["g"], ["h"]),
            N("Cast", ["h"], ["i"], to=7), N("Shape", ["x"], ["o"], end=2), N("Concat", ["o", "i"], ["t"], axis=0),
            N("Resize", ["x", "", "", "t"], ["y"], mode="linear"),
        ],
        {"two": number(1.5)},
    ),
    "filled": ([N("Shape", ["x"], ["s"]), N("ConstantOfShape", ["s"], ["c"]), N("Add", ["x", "c"], ["y"])], {}),
    "ranged": (
        [
            N("Shape", ["x"], ["s"]), N("Gather", ["s", "last"], ["n"]), N("Range", ["zero", "n", "one"], ["r"]),
            N("Cast", ["r"], ["f"], to=1), N("Add", ["x", "f"], ["y"]),
        ],
        {"last": np.array(3), "zero": np.array(0), "one": np.array(1)},
    ),
}  # fmt: skip


def check(model: onnx.ModelProto, folder: Path) -> None:
    """Read a file, which holds it against ONNX Runtime, and hold it against it once more on other numbers."""
    onnx.save(model, folder / "net.onnx")
    program = programs.of_path(folder / "net.onnx")
    given = RANDOM.standard_normal((2, 4, 6, 6)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted: Any = session.run(["y"], {"x": given})[0]
    with torch.no_grad():
        found = program.module(torch.from_numpy(given))["y"].numpy()
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, atol=1e-4, equal_nan=True)


class Here:
    """What answers as the process does, in this one: for operators by the hundred, which harm nothing."""

    def __init__(self, module: str, *, memory: int) -> None:
        self._worker = Worker()

    def ask(self, facts: Any, parts: Any, *, seconds: float, most: int) -> Any:
        """Return the answer."""
        facts, found = self._worker.answer(json.loads(json.dumps(facts)), [bytes(part) for part in parts])
        return facts, [bytes(part) for part in found]

    def close(self) -> None:
        """End nothing."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no process be started."""
    monkeypatch.setattr(process, "Child", Here)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("op", ONE)
def test_operators_of_one_tensor(op: str, tmp_path: Path) -> None:
    """Each with its defaults."""
    check(graph_of([N(op, ["x"], ["y"])], {"x": (2, 4, 6, 6)}), tmp_path)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", MORE)
def test_operators(name: str, tmp_path: Path) -> None:
    """Each with what exporters write beside it."""
    nodes, constants = MORE[name]
    check(graph_of(nodes, {"x": (2, 4, 6, 6)}, constants), tmp_path)


def test_older_forms(tmp_path: Path) -> None:
    """Before opset 13 axes and sizes are attributes, and a softmax goes over all axes from there."""
    nodes = [
        N("Unsqueeze", ["x"], ["a"], axes=[0]), N("Squeeze", ["a"], ["b"], axes=[0]), N("Softmax", ["b"], ["c"]),
        N("ReduceMean", ["c"], ["d"], axes=[2]), N("Split", ["d"], ["e", "f"], axis=1, split=[2, 2]),
        N("Concat", ["e", "f"], ["g"], axis=1), N("Pad", ["g", "p"], ["y"]),
    ]  # fmt: skip
    check(graph_of(nodes, {"x": (2, 4, 6, 6)}, {"p": ints(0, 0, 1, 0, 0, 0, 0, 1)}, opset=12), tmp_path)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    """Save a model."""
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


Q = {"s": number(0.1), "z": np.array(0, dtype=np.int8)}


def contributed() -> onnx.ModelProto:
    """Make a model with an operator of ONNX Runtime's own."""
    model = graph_of([N("Relu", ["x"], ["y"], name="fused")], {"x": (1, 4)})
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.microsoft", "FusedConv"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "quantized": (
        lambda: graph_of(
            [N("QuantizeLinear", ["x", "s", "z"], ["q"], name="first"), N("DequantizeLinear", ["q", "s", "z"], ["y"])],
            {"x": (1, 4)},
            Q,
        ),
        "quantized already: node first is a QuantizeLinear",
    ),
    "unknown": (lambda: graph_of([N("NonZero", ["x"], ["y"], name="where")], {"x": (1, 4)}), "NonZero, node where"),
    "contrib": (
        contributed,
        "com.microsoft.FusedConv, node fused",
    ),
    "by value": (
        lambda: graph_of([N("Cast", ["x"], ["i"], to=7), N("Reshape", ["x", "i"], ["y"], name="shape")], {"x": (2,)}),
        "Reshape|does not run",
    ),
    "huge": (
        lambda: graph_of(
            [N("ConstantOfShape", ["s"], ["c"], name="big"), N("Add", ["x", "c"], ["y"])],
            {"x": (1,)},
            {"s": ints(1 << 20, 1 << 10)},
        ),
        "elements|does not run",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_built_is_named(name: str, tmp_path: Path) -> None:
    """With the operator and the node, in a second."""
    make, words = REFUSED[name]
    path = saved(make(), tmp_path)
    start = time.monotonic()
    with pytest.raises(SourceError, match=words or ".") as error:
        programs.of_path(path)
    assert error.value.hint
    assert time.monotonic() - start < 10


def with_external(folder: Path) -> Path:
    """Save a model whose weights lie beside it."""
    model = graph_of([N("MatMul", ["x", "w"], ["y"])], {"x": ("rows", 64)}, {"w": array(64, 64)})
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    return folder / "net.onnx"


def test_external_data_lies_beside(tmp_path: Path) -> None:
    """It is read, and its bytes belong to the key of the cache."""
    path = with_external(tmp_path)
    (only,) = programs.of_path(path).inputs or ()
    assert only.shape == ("rows", 64)
    assert external.files(path) == [(tmp_path / "net.data").resolve()]


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "sub/../../secret", "link", "missing"])
def test_external_data_elsewhere_is_refused(place: str, tmp_path: Path) -> None:
    """By path, by an absolute one, and by a link."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(64 * 64 * 4))
    (folder / "link").symlink_to(tmp_path / "secret")
    path = with_external(folder)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SourceError, match=r"not beside it|does not exist|cannot be read"):
        programs.of_path(path)
    assert all(file.is_relative_to(folder.resolve()) for file in external.files(path))


def test_external_data_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Rather than read as something else."""
    path = with_external(tmp_path)
    (tmp_path / "net.data").write_bytes((tmp_path / "net.data").read_bytes()[:100])
    with pytest.raises(SourceError, match="cut off"):
        programs.of_path(path)


@pytest.mark.usefixtures("here")
def test_damage_is_found(tmp_path: Path) -> None:
    """A flipped byte ends in an error of EdgeKit, or in a model that ONNX Runtime computes as well."""
    data = exported(Small(), (PICTURES[:2],), tmp_path / "net.onnx", "old").read_bytes()
    broken = tmp_path / "broken.onnx"
    for place in range(0, len(data), len(data) // 60):
        broken.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            programs.of_path(broken)
        except EdgeKitError as error:
            assert error.message  # noqa: PT017 - both ends are right


@pytest.mark.slow
def test_a_project_of_an_onnx_file_alone_is_built(tmp_path: Path) -> None:
    """Verified at batches up to 64; the names are the file's."""
    from edgekit.spec import project
    from edgekit.targets import load

    path = exported(Small(), (PICTURES[:2],), tmp_path / "net.onnx", "new")
    opened = project.load(project_of(tmp_path, path))
    result = edgekit.build_project(opened, (load("linux-x86_64"),), tmp_path / "out", cache=False)
    manifest = result.bundles[0].manifest
    assert manifest.inputs[0].name == "image"
    assert all({1, 16, 64} & set(artifact.verified_batches) for artifact in manifest.artifacts)

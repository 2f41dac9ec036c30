"""Files of others run in a process of their own: what crashes, hangs or swells there is a RunError here."""

import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.base import child
from edgekit.base.child import Child, ChildError
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import isolated
from edgekit.execution.artifact import open_artifact
from edgekit.spec import Cpu, Format, TensorSpec

INPUTS = (TensorSpec(name="x", shape=("batch", 3)),)
TINY = ((TensorSpec(name="x", shape=(1, 4)),), (TensorSpec(name="y", shape=(1, 2)),))
OUTPUTS = (TensorSpec(name="y", shape=("batch", 3)), TensorSpec(name="n", dtype="int64", shape=(2,)))


def model() -> onnx.ModelProto:
    """Twice the input, and its shape."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Shape", ["x"], ["n"])],
        "twice",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3]),
            helper.make_tensor_value_info("n", TensorProto.INT64, [2]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_an_artifact_computes_the_same_there(tmp_path: Path) -> None:
    """A path runs in a child, bytes in this process: same outputs, types, shapes and kernels."""
    path = tmp_path / "model.onnx"
    path.write_bytes(model().SerializeToString())
    rows = np.arange(21, dtype=np.float32).reshape(7, 3)
    both = [open_artifact(Format.ONNX, one, Cpu.ARM64, INPUTS, OUTPUTS) for one in (path, path.read_bytes())]
    answers = [one.run(Samples(inputs={"x": rows}), 7) for one in both]
    assert both[0].kernels == both[1].kernels
    for name in ("y", "n"):
        assert answers[0][name].dtype == answers[1][name].dtype
        np.testing.assert_array_equal(answers[0][name][:], answers[1][name][:])


def test_a_runtimes_refusal_is_the_same_there(tmp_path: Path) -> None:
    """With its reason and its hint; and the child goes on."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(RunError, match="cannot load") as caught:
        open_artifact(Format.ONNX, path, Cpu.ARM64, INPUTS, OUTPUTS)
    assert caught.value.hint
    path.write_bytes(model().SerializeToString())
    loaded = isolated.load(path, Format.ONNX, Cpu.ARM64, INPUTS, OUTPUTS)
    with pytest.raises(RunError, match="fails on a batch"):
        isolated.call(loaded, INPUTS, OUTPUTS, Samples(inputs={"x": np.zeros((2, 4), np.float32)}))
    found = isolated.call(loaded, INPUTS, OUTPUTS, Samples(inputs={"x": np.ones((2, 3), np.float32)}))
    np.testing.assert_array_equal(found["y"], np.full((2, 3), 2.0))


ENDS = {
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashes .SIGSEGV."),
    "exit": ("raise SystemExit(3)", "exit code 3"),
    "hang": ("import time; time.sleep(60)", "takes longer than 1 s"),
    "memory": ("x = bytearray(2**31)", "wants more memory"),
    "noise": ("import os; os.write(int(sys.argv[2]), b'x' * 100)", "ends the process|crashes"),
    "too much": ("return {}, (b'x' * 100,)", "ends the process|crashes"),
}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that a child can be started with."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "naughty_child.py"


@pytest.mark.parametrize("end", ENDS)
def test_however_a_child_ends_it_is_told(module: Path, end: str) -> None:
    """Whether it crashes, exits, hangs, swells, or says what is no message."""
    code, reason = ENDS[end]
    module.write_text(
        "import sys\nfrom edgekit.base import child\ndef answer(facts, parts):\n"
        + textwrap.indent(code, "    ")
        + "\n    return {}, ()\nchild.serve(answer)\n"
    )
    started = Child("naughty_child", memory=2**28)
    began = time.monotonic()
    with pytest.raises(ChildError, match=reason):
        started.ask({}, seconds=1)
    assert time.monotonic() - began < 30


def test_a_child_has_no_secrets(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment it gets what libraries are found and set by."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    module.write_text(
        "import os\nfrom edgekit.base import child\n"
        "child.serve(lambda facts, parts: ({'names': sorted(os.environ)}, ()))\n"
    )
    found, _ = Child("naughty_child", memory=2**28).ask({}, seconds=30)
    names = found["names"]
    assert isinstance(names, list)
    assert "OMP_NUM_THREADS" in names
    assert not {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY"} & set(map(str, names))


def test_a_child_imports_nothing_of_the_folder_it_starts_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody works in a folder that holds a file named like a library."""
    for name in ("onnxruntime", "numpy", "json", "pydantic"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(model().SerializeToString())
    open_artifact(Format.ONNX, Path("model.onnx"), Cpu.ARM64, INPUTS, OUTPUTS)
    assert not (tmp_path / "canary").exists()
    assert child.ISOLATED[0] == sys.executable


def tiny_pte() -> bytes:
    """A linear layer in XNNPACK, lowered without EdgeKit."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(torch.nn.Linear(4, 2).eval(), (torch.zeros(1, 4),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    return bytes(lowered.to_executorch().buffer)


def test_a_damaged_pte_takes_nothing_along(tmp_path: Path) -> None:
    """The whole file runs; with bytes changed or cut off it loads and runs, or ends in a RunError."""
    whole = tiny_pte()
    third = len(whole) // 3
    zeros = Samples(inputs={"x": np.zeros((1, 4), np.float32)})
    for number, data in enumerate((whole, whole[:third], whole[:third] + b"\xff" * 32 + whole[third + 32 :])):
        path = tmp_path / "model.pte"
        path.write_bytes(data)
        outcome = ""
        try:
            loaded = isolated.load(path, Format.PTE, Cpu.ARM64, *TINY)
            assert isolated.call(loaded, *TINY, zeros)["y"].shape == (1, 2)
        except RunError as error:
            outcome = error.message
        assert number > 0 or not outcome

"""The reproducer: one operation as a model of its own, its inputs, what the program makes of them, and a script."""

import io
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from edgekit.bundles.bisection import Parting
from edgekit.data.rows import Array
from edgekit.pipeline.bisecting.cutting import Cut
from edgekit.pipeline.bisecting.inside import Found
from edgekit.pipeline.bisecting.narrow import Narrowed
from edgekit.pipeline.bisecting.segments import File
from edgekit.pipeline.reproduce import SCRIPT, text_of
from edgekit.spec import Cpu

MODEL, PTE, INPUTS, EXPECTED = "model.onnx", "model.pte", "inputs.npz", "expected.npz"
FILES = frozenset({MODEL, PTE, INPUTS, EXPECTED, SCRIPT})

_ONNX = """\
# Needs ONNX Runtime and NumPy alone.
import sys
from pathlib import Path

import numpy as np
import onnxruntime

here = Path(__file__).parent
options = onnxruntime.SessionOptions()
EXACT
session = onnxruntime.InferenceSession(here / "model.onnx", options, providers=["CPUExecutionProvider"])
(got,) = session.run(None, dict(np.load(here / "inputs.npz")))
"""
_PTE = """\
# Needs ExecuTorch with PyTorch, and NumPy.
import sys
from pathlib import Path

import numpy as np
import torch
from executorch.runtime import Runtime

here = Path(__file__).parent
method = Runtime.get().load_program(here / "model.pte").load_method("forward")
inputs = np.load(here / "inputs.npz")
(got,) = (one.numpy() for one in method.execute([torch.from_numpy(inputs[name]) for name in inputs.files]))
TURNED
"""
_COMPARE = """\
expected = np.load(here / "expected.npz")
program = expected["program"]  # what the quantized program computes from these inputs
artifact = got.astype(np.float64).reshape(program.shape)
unit = "in absolute terms"
step = 1.0
if "step" in expected:
    step = float(expected["step"])
    artifact = (artifact - expected["zero_point"]) * step
    unit = "steps"
apart = np.abs(program - artifact)
worst = np.unravel_index(apart.argmax(), apart.shape)
noise = np.square(program - artifact).sum()
ratio = 10 * np.log10(np.square(program).sum() / noise) if noise else float("inf")
print(f"SQNR {ratio:.1f} dB, largest difference {apart.max() / step:.6g} {unit}, {np.mean(apart > 0):.1%} differ")
print(f"at {tuple(map(int, worst))}: program {program[worst]:.6g}, artifact {artifact[worst]:.6g}")
if "step" in expected:  # a value between two steps may fall to either
    beyond = np.mean(apart > 0.5 * step) > 0.02 or np.mean(apart > 1.5 * step) > 0.001
else:
    beyond = ratio < 60
sys.exit(int(beyond))
"""
_TURNED = "got = np.moveaxis(got, -1, 1)  # the delegate has channels last"
_EXACT = 'options.add_session_config_entry("session.x64quantprecision", "1")  # as ARM adds: without saturating'


def files(found: Narrowed) -> dict[str, bytes]:
    """Return the reproducer of an operation, as the content of a folder by name.

    ``python reproduce.py`` runs the operation in ONNX Runtime, prints how far it is from the program, and ends with 1
    if that is more than rounding.

    Args:
        found: Where an .onnx parts from its program.
    """
    assert found.cut is not None
    assert found.parting is not None
    alone = found.cut
    script = _ONNX.replace("EXACT\n", "" if found.look.cpu is Cpu.X86_64 else f"{_EXACT}\n")
    return {MODEL: _model(found.look.file, alone)} | _beside(alone, found.parting, found.look.name, script)


def files_of_pte(found: Found) -> dict[str, bytes]:
    """Return the reproducer of a kernel of a .pte, as `files` does; empty if it cannot be cut out.

    Args:
        found: Where a .pte parts from its program.
    """
    if found.cut is None or found.parting is None or found.inner is None or found.alone is None:
        return {}
    script = _PTE.replace("TURNED\n", f"{_TURNED}\n" if found.inner.turned else "")
    return {PTE: found.alone} | _beside(found.cut, found.parting, found.name, script)


def _beside(alone: Cut, parting: Parting, name: str, script: str) -> dict[str, bytes]:
    """Return what lies beside the operation: its inputs, what the program makes of them, and the script."""
    expected: dict[str, Array] = {"program": alone.program}
    if alone.spot is not None:
        expected |= {"step": np.array(alone.spot.step), "zero_point": np.array(alone.spot.zero + alone.spot.shift)}
    place = " ".join(filter(None, (parting.operation, parting.path, parting.line)))
    return {
        INPUTS: _npz(alone.inputs),
        EXPECTED: _npz(expected),
        SCRIPT: text_of(script + _COMPARE, f"{place} of {name}", opening="Shows what differs").encode(),
    }


def _model(file: File, alone: Cut) -> bytes:
    """Return the nodes between the inputs and the value, with the constants that they read."""
    nodes = file.behind(alone.value, alone.inputs)
    read = {name for node in nodes for name in node.input}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in alone.inputs.items()
    ]
    kinds = {item.name: item.data_type for item in file.model.graph.initializer}
    last = file.made[alone.value]
    kind = kinds[last.input[2]] if last.op_type == "QuantizeLinear" else onnx.TensorProto.FLOAT
    shape = alone.artifact.shape
    graph = helper.make_graph(
        nodes,
        "operation",
        inputs,
        [helper.make_tensor_value_info(alone.value, kind, shape)],
        [item for item in file.model.graph.initializer if item.name in read],
    )
    model = helper.make_model(graph, opset_imports=file.model.opset_import, ir_version=file.model.ir_version)
    return bytes(model.SerializeToString(deterministic=True))


def _npz(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()

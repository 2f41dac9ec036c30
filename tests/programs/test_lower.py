"""Lowering: real artifacts, run by real runtimes, held against the program they came from."""

import copy
import gc
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.rows import Array, whole
from edgekit.data.trace import Trace
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import LowerError, RunError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_float, run_quantized
from edgekit.execution.proof import prove
from edgekit.lowering import onnx as lower_onnx
from edgekit.lowering import pte as lower_pte
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.graph import operation
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, Format, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec
from tests.programs.networks import IMAGE, images, small_source
from tests.programs.on_device import on_device

EVALUATION = images(100, seed=2)


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    """Return the small network, quantized."""
    calibration = images(128, seed=1)
    return quantize(capture(small_source(), calibration), Scheme.INT8, QuantSpec(), calibration)


@pytest.fixture(scope="module")
def pte(quantized: Quantized) -> Artifact:
    """Return its .pte."""
    return lower_pte.lower(quantized, PteSettings())


@pytest.fixture(scope="module", params=["int8", "uint8"])
def onnx_artifact(quantized: Quantized, request: pytest.FixtureRequest) -> Artifact:
    """Return its .onnx, with either type of weights."""
    return lower_onnx.lower(quantized, OnnxSettings(weights=request.param))


def run(artifact: Artifact, quantized: Quantized, cpu: Cpu = Cpu.ARM64) -> Trace:
    """Run an artifact on the evaluation samples and check its batches."""
    source = quantized.captured.source
    opened = runs.open_artifact(artifact.format, artifact.data, cpu, source.inputs, source.outputs)
    trace = runs.trace(opened, cpu, EVALUATION, batch=64, model="")
    prove(artifact, source, EVALUATION, cpu, lambda part: run_quantized(quantized, part).outputs)
    return trace


def ratio(reference: Array, candidate: Array) -> float:
    """Return the SQNR in dB of two outputs that are not the same."""
    found = sqnr_db(reference.astype(np.float64), candidate.astype(np.float64))
    assert found is not None
    return found


def test_pte_is_one_delegate_and_near_its_program(pte: Artifact, quantized: Quantized) -> None:
    """Everything is delegated, so that the app needs no kernel library; the lowering costs little."""
    assert pte.delegates == ("XnnpackBackend",)
    assert pte.operators == ()
    assert pte.not_delegated == ()
    assert pte.delegated_fraction == 1
    assert 0 < pte.int8_fraction < 1  # hard-swish and hard-sigmoid have no int8 kernel
    told = {one.place: one.reason for one in pte.left_out}
    assert told["hardsigmoid (gate.1)"] == "there is no int8 kernel for it"
    assert told["mul"] == "it reads float from hardswish, hardsigmoid"
    compute = len(pte.left_out) / (1 - pte.int8_fraction)
    assert compute == pytest.approx(round(compute))  # what is named is what the share leaves out
    program = run_quantized(quantized, EVALUATION).array("logits")
    assert ratio(program, run(pte, quantized).array("logits")) > 28


def test_onnx_is_int8_and_near_its_program(onnx_artifact: Artifact, quantized: Quantized) -> None:
    """The file loads at the default optimization level, and computes what the program does."""
    model = onnx.load_from_string(onnx_artifact.data)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.data_location for entry in model.graph.initializer} == {onnx.TensorProto.DEFAULT}
    assert 0.3 < onnx_artifact.int8_fraction < 1
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    program = run_quantized(quantized, EVALUATION).array("logits")
    assert ratio(program, run(onnx_artifact, quantized).array("logits")) > 28


def test_uint8_weights_stand_for_the_same_values(quantized: Quantized) -> None:
    """Storing weights with 128 added changes no answer when the kernels are exact."""
    traces = [
        run(lower_onnx.lower(quantized, OnnxSettings(weights=kind)), quantized).array("logits")
        for kind in ("int8", "uint8")
    ]
    assert np.abs(traces[0] - traces[1]).max() <= 2 * np.abs(traces[0]).max() / 255


def test_a_changed_weight_shows_in_the_answers(onnx_artifact: Artifact, quantized: Quantized) -> None:
    """The negative twin: an artifact that is wrong is measured as wrong."""
    model = onnx.load_from_string(onnx_artifact.data)
    weights = max(model.graph.initializer, key=lambda entry: len(entry.raw_data))
    weights.raw_data = bytes(len(weights.raw_data))
    wrong = copy.copy(onnx_artifact)
    object.__setattr__(wrong, "data", model.SerializeToString())
    program = run_quantized(quantized, EVALUATION).array("logits")
    assert ratio(program, run(wrong, quantized).array("logits")) < 15


def test_the_same_program_gives_the_same_bytes(pte: Artifact, onnx_artifact: Artifact, quantized: Quantized) -> None:
    """Lowering again, from the program that lowering was to leave unchanged, gives the same file."""
    assert lower_pte.lower(quantized, PteSettings()).sha256 == pte.sha256
    kind = "uint8" if b"w0" in onnx_artifact.data else "int8"
    assert lower_onnx.lower(quantized, OnnxSettings(weights=kind)).sha256 == onnx_artifact.sha256  # type: ignore[arg-type]


def test_float_onnx_is_the_float_model(quantized: Quantized) -> None:
    """The exporter is checked before the quantizer is blamed."""
    source = quantized.captured.source
    data = lower_onnx.export_float(quantized.captured)
    opened = runs.open_artifact(Format.ONNX, data, Cpu.X86_64, source.inputs, source.outputs)
    reference = run_float(source, EVALUATION).array("logits")
    assert np.abs(whole(opened.run(EVALUATION, 64)["logits"]) - reference).max() < 1e-4


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_a_damaged_artifact_is_a_run_error(format: Format, quantized: Quantized) -> None:
    """Not a crash, not a traceback: the file is named as what it is."""
    source = quantized.captured.source
    with pytest.raises(RunError):
        runs.open_artifact(format, b"\0" * 100, Cpu.ARM64, source.inputs, source.outputs)


def test_a_loaded_artifact_outlives_its_bytes(pte: Artifact, quantized: Quantized, tmp_path: Path) -> None:
    """The runtime does not copy what it loads: the bytes must live as long as the method, or it crashes."""
    source = quantized.captured.source
    (tmp_path / "model.pte").write_bytes(pte.data)
    opened = runs.open_artifact(Format.PTE, tmp_path / "model.pte", Cpu.ARM64, source.inputs, source.outputs)
    (tmp_path / "model.pte").unlink()
    gc.collect()
    filler = [bytes(len(pte.data)) for _ in range(64)]  # takes the place of whatever was given back
    assert np.array_equal(opened.run(EVALUATION, 64)["logits"], run(pte, quantized).array("logits"))
    assert filler


class Clamped(nn.Module):
    """Convolutions with ReLU6, as MobileNetV2 has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU6(), nn.Conv2d(8, 4, 3), nn.ReLU6())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return (batch, 4, 4, 4) of (batch, 1, 8, 8)."""
        maps: torch.Tensor = self.layers(image * 3)
        return maps


def test_a_clamp_is_part_of_its_layer() -> None:
    """Each layer is rounded once, behind its ReLU6, and ONNX Runtime needs no Clip: quantizing saturates there."""
    torch.manual_seed(0)
    output = TensorSpec(name="maps", shape=("batch", 4, 4, 4))
    source = source_from_module("clamped", Clamped(), (IMAGE,), (output,), {"batch": 64})
    program = quantize(capture(source, EVALUATION), Scheme.INT8, QuantSpec(), EVALUATION)
    (first, _) = [node for node in program.program.graph.nodes if operation(node) == "conv2d"]
    assert [operation(user) for user in first.users] == ["hardtanh"]
    artifact = lower_onnx.lower(program, OnnxSettings())
    assert "Clip" not in artifact.operators
    assert ratio(run_quantized(program, EVALUATION).array("maps"), run(artifact, program).array("maps")) > 35


@pytest.mark.parametrize(("high", "kept"), [(6.0, False), (5.99, False), (3.0, True)])
def test_a_clip_goes_only_where_quantizing_saturates(high: float, kept: bool) -> None:
    """A bound well inside the range of the integers still clips, and stays."""
    model = ir.from_proto(
        onnx.parser.parse_model(
            f"""<ir_version: 10, opset_import: ["" : 20]>
            g (float[4] x) => (uint8[4] y)
            <float low = {{0.0}}, float high = {{{high}}}, float scale = {{{6 / 255}}}, uint8 zero = {{0}}>
            {{ c = Clip(x, low, high)  y = QuantizeLinear(c, scale, zero) }}"""
        )
    )
    lower_onnx.qdq.tidy(model, OnnxSettings())
    assert [node.op_type for node in model.graph] == ["Clip"] * kept + ["QuantizeLinear"]


class Parted(nn.Module):
    """Takes what a layer gives apart, as attention does with query, key and value."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.last = nn.Conv1d(4, 12, 1), nn.Conv1d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 4, 6) of signals (batch, 4, 8)."""
        query, key, value = self.qkv(x).chunk(3, 1)
        y: Tensor = self.last(query * key + value)
        return y


def test_what_a_lowering_takes_a_batch_for_is_forgotten() -> None:
    """ExecuTorch's checks evaluate a split for the batch that was traced; the program is for any batch afterwards."""
    torch.manual_seed(0)
    found = on_device(Parted(), (4, 8), scheme=Scheme.INT8, batch="batch")
    (batch,) = [node.meta["val"].shape[0] for node in found.program.program.graph.nodes if node.name == "x"]
    assert batch.node.expr.free_symbols


def test_what_an_exporter_says_to_its_own_developers_is_left_out(
    quantized: Quantized, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause alone is passed on, without colours."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("\x1b[96mStep 2\x1b[0m of 3. Create an issue.\n\n## Exception summary\n\nIt has no\nsize.")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(LowerError) as caught:
        lower_onnx.lower(quantized, OnnxSettings())
    assert caught.value.message == "torch.onnx cannot export small: It has no size."

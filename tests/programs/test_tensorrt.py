"""TensorRT: what is written keeps its rules, which is all that can be seen without a GPU; what breaks one is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit import chips, targets
from edgekit.chips import Trial
from edgekit.chips.tensorrt import rules
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import LowerError, RunError
from edgekit.model.capture import capture
from edgekit.model.onchip import Executed
from edgekit.model.program import Captured
from edgekit.quantization import quantize
from edgekit.spec import Format, QuantSpec, Scheme
from tests.programs.networks import images, small_source
from tests.programs.trials import cut_off, trial
from tests.sessions import exact_session

pytestmark = pytest.mark.slow
TARGET = targets.load("tensorrt")


@pytest.fixture(scope="module")
def captured() -> Captured:
    """A small network."""
    return capture(small_source(), images(32, seed=1))


@pytest.fixture(scope="module")
def asked(captured: Captured) -> Trial:
    """Its file, with steps that lie evenly around zero."""
    placing = chips.of_target(TARGET).placing
    return trial(TARGET, quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1), placing))


def changed(asked: Trial, change: Callable[[onnx.ModelProto], None]) -> Trial:
    """Return the trial of a file that was changed."""
    model = onnx.load_from_string(asked.artifact.data)
    change(model)
    return replace(asked, artifact=replace(asked.artifact, data=model.SerializeToString()))


def set_zero_point(model: onnx.ModelProto) -> None:
    """Move the steps of one activation."""
    node = next(one for one in model.graph.node if one.op_type == "QuantizeLinear")
    held = next(one for one in model.graph.initializer if one.name == node.input[2])
    held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held) + np.int8(3), held.name))


def set_scale(model: onnx.ModelProto) -> None:
    """Let one activation have steps of no width."""
    node = next(one for one in model.graph.node if one.op_type == "QuantizeLinear")
    held = next(one for one in model.graph.initializer if one.name == node.input[1])
    held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held) * np.float32(0), held.name))


def leave_input_float(model: onnx.ModelProto) -> None:
    """Take the rounding off the inputs of the last layer."""
    layer = [one for one in model.graph.node if one.op_type == "Gemm"][-1]
    makers = {name: one for one in model.graph.node for name in one.output}
    layer.input[0] = makers[makers[layer.input[0]].input[0]].input[0]


def test_the_file_keeps_the_rules(asked: Trial, tmp_path: Path) -> None:
    """Zero points are 0, biases are float, and ONNX Runtime computes the program of it; no GPU says more here."""
    tried = chips.of_target(TARGET).run(asked)
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.NOT_EXECUTED
    assert "Nvidia's GPUs alone" in tried.on_chip.library
    model = onnx.load_from_string(asked.artifact.data)
    rounded = [one for one in model.graph.node if one.op_type == "QuantizeLinear"]
    assert len(rounded) >= 4
    assert all(one.data_type != onnx.TensorProto.INT32 for one in model.graph.initializer)
    (tmp_path / "model.onnx").write_bytes(asked.artifact.data)
    (got,) = exact_session(tmp_path / "model.onnx").run(None, {"image": asked.samples.array("image")})
    for reference, least in ((asked.answers, 30.0), (asked.host, 20.0)):
        found = sqnr_db(reference.array("logits"), np.asarray(got))
        assert found is None or found > least


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_zero_point, "a zero point is 3, not 0"),
        (set_scale, "a scale is not positive"),
        (leave_input_float, "its weights alone are rounded"),
    ],
)
def test_a_planted_fault_is_named(asked: Trial, change: Callable[[onnx.ModelProto], None], says: str) -> None:
    """By the rule that it breaks, with the node."""
    with pytest.raises(RunError, match=says):
        chips.of_target(TARGET).run(changed(asked, change))


def test_a_damaged_file_is_refused(asked: Trial) -> None:
    """A file that is cut off is none."""
    with pytest.raises(RunError, match="is damaged"):
        chips.of_target(TARGET).run(cut_off(asked))


def test_a_program_with_other_steps_is_refused(captured: Captured) -> None:
    """What was rounded for a CPU breaks the rules, and is not written."""
    program = quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1))
    with pytest.raises(LowerError, match=r"a zero point is -?\d+, not 0"):
        chips.of_target(TARGET).lower(Format.ONNX, TARGET, program, None)


def test_biases_are_what_their_integers_stand_for() -> None:
    """As float, and nothing is left of the integers."""
    nodes = [
        onnx.helper.make_node("DequantizeLinear", ["steps", "scale"], ["bias"]),
        onnx.helper.make_node("Add", ["x", "bias"], ["y"]),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy"]
    held = [
        numpy_helper.from_array(np.array([2, -4], np.int32), "steps"),
        numpy_helper.from_array(np.array([0.5, 0.25], np.float32), "scale"),
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], held))
    rules.with_float_biases(model)
    assert [one.op_type for one in model.graph.node] == ["Add"]
    assert {one.name: numpy_helper.to_array(one).tolist() for one in model.graph.initializer} == {"bias": [1.0, -1.0]}

"""Layers that stay float: chosen by name, still delegated, and honest about it."""

import numpy as np
import pytest

from edgekit.drift.metrics import sqnr_db
from edgekit.errors import QuantizeError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.graph import is_dequantize, module_path, operation
from edgekit.model.program import Captured, Quantized
from edgekit.quantization import quantize
from edgekit.quantization.grouping import chosen
from edgekit.spec import Cpu, Fallback, OnnxSettings, PteSettings, QuantSpec, Scheme
from tests.programs.networks import faulty_source, images, small_source

pytestmark = pytest.mark.slow
CALIBRATION = images(128, seed=1)


@pytest.fixture(scope="module")
def captured() -> Captured:
    """Return the small network, captured."""
    return capture(small_source(), CALIBRATION)


def mixed(captured: Captured, *float_layers: str) -> Quantized:
    """Return a program with layers in float."""
    return quantize(captured, Scheme.INT8, QuantSpec(float_layers=float_layers), CALIBRATION)


def in_int8(program: Quantized) -> dict[str, bool]:
    """Return for each convolution whether its weights are rounded."""
    nodes = [node for node in program.program.graph.nodes if operation(node) == "conv2d"]
    return {module_path(node): any(map(is_dequantize, node.all_input_nodes[1:])) for node in nodes}


def test_a_module_stays_float_with_all_below_it(captured: Captured) -> None:
    """The weights of the chosen layer are not rounded, those of the others are."""
    program = mixed(captured, "stem")
    assert program.float_layers == ("stem.0",)
    assert program.scheme is Scheme.INT8_MIXED
    assert in_int8(program) == {"stem.0": False, "depthwise.0": True, "gate.0": True}
    whole = mixed(captured)
    assert (whole.float_layers, whole.scheme) == ((), Scheme.INT8)
    assert all(in_int8(whole).values())


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("depthwise.0", ("depthwise.0",)),
        ("stem.2", ("stem.0",)),  # the activation that is fused to it
        ("*.0", ("stem.0", "depthwise.0", "gate.0")),
        ("g*", ("gate.0",)),
    ],
)
def test_layers_are_named_by_path_prefix_or_pattern(captured: Captured, pattern: str, kept: tuple[str, ...]) -> None:
    """A path stands for what is below it, a pattern for what it matches."""
    assert mixed(captured, pattern).float_layers == kept


def test_what_is_float_anyway_may_be_named(captured: Captured) -> None:
    """The product of the gate is never rounded: naming it is no error, and makes no mixed program."""
    program = mixed(captured, "mul")
    assert (program.float_layers, program.scheme) == ((), Scheme.INT8)


def test_an_unknown_layer_is_an_error_with_the_nearest_name(captured: Captured) -> None:
    """All wrong names are told together, each with the name that is likely meant."""
    with pytest.raises(QuantizeError, match=r"dephtwise\.0 is no layer of small") as caught:
        mixed(captured, "stem.0", "dephtwise.0", "clasifier")
    assert "did you mean depthwise.0?" in caught.value.message
    assert "clasifier is no layer of small; did you mean classifier?" in caught.value.message
    assert "stem.0 is" not in caught.value.message
    assert "gate.0" in caught.value.hint


def test_a_prefix_ends_where_a_name_ends() -> None:
    """``features.1`` is not ``features.10``."""
    assert chosen({"features.1.conv": (), "features.10.conv": ()}, ("features.1",), "net") == {"features.1.conv"}


def test_mixed_of_nothing_is_int8(captured: Captured) -> None:
    """A program has the scheme that came of it: before fallback has found anything, no layer is kept."""
    assert quantize(captured, Scheme.INT8_MIXED, QuantSpec(fallback=Fallback.AUTO), CALIBRATION).scheme is Scheme.INT8


def test_both_runtimes_run_a_mixed_program() -> None:
    """One delegate takes it all; what int8 loses and the float layer saves shows in both runtimes."""
    source, evaluation = faulty_source(), images(100, seed=2)
    captured = capture(source, CALIBRATION)
    reference = run_float(source, evaluation).array("logits").astype(np.float64)

    def ratios(program: Quantized) -> list[float]:
        files = pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())
        assert [file.scheme for file in files] == [program.scheme] * 2
        assert [file.delegated_fraction for file in files] == [1.0, 1.0]
        outputs = [run_quantized(program, evaluation).outputs["logits"]]
        for file in files:
            opened = runs.open_artifact(file.format, file.data, Cpu.ARM64, source.inputs, source.outputs)
            outputs.append(opened.run(evaluation, 64)["logits"])
        found = [sqnr_db(reference, array) for array in outputs]
        return [ratio for ratio in found if ratio is not None]

    assert min(ratios(mixed(captured, "middle"))) > 20
    assert max(ratios(mixed(captured))) < 15

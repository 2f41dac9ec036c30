"""OpenVINO runs what was lowered, on this machine as on the device, and says which layers compute with integers."""

import pytest

from edgekit import chips, targets
from edgekit.base.versions import has_vnni
from edgekit.errors import RunError
from edgekit.model.capture import capture
from edgekit.model.onchip import Executed
from edgekit.model.program import Quantized
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec, Scheme
from tests.programs.networks import images, small_source
from tests.programs.trials import cut_off, trial, with_scale_changed

pytestmark = pytest.mark.slow
TARGET = targets.load("openvino-x86_64")


@pytest.fixture(scope="module")
def program() -> Quantized:
    """A small network, with the roundings that a processor wants."""
    return quantize(capture(small_source(), images(32, seed=1)), Scheme.INT8, QuantSpec(), images(32, seed=1))


def test_the_library_runs_what_was_lowered(program: Quantized) -> None:
    """It computes the program, most layers with integers; a fault in a scale is caught, a damaged file refused."""
    pytest.importorskip("openvino", reason="needs the extra openvino")
    asked, run = trial(TARGET, program), chips.of_target(TARGET).run
    tried = run(asked)
    assert tried.on_chip is not None
    assert tried.on_chip.executed is (Executed.HOST if has_vnni() else Executed.SIMULATED)
    assert tried.on_chip.samples == 16
    assert tried.on_chip.figures["int8_layers"] >= 2
    assert tried.on_chip.figures["float_layers"] == len(tried.on_chip.elsewhere)
    assert tried.answers.origin.kernels.startswith("OpenVINO 20")
    assert tried.answers.origin.kernels.endswith(tried.on_chip.executed)
    with pytest.raises(RunError, match="computes something else"):
        run(with_scale_changed(asked))
    with pytest.raises(RunError, match="refuses the file"):
        run(cut_off(asked))


def test_kernels_that_saturate_are_measured_beside(program: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without VNNI the answers are those of exact kernels, and a note says how far this processor's own are off."""
    pytest.importorskip("openvino", reason="needs the extra openvino")
    monkeypatch.setattr("edgekit.chips.openvino.chip.has_vnni", lambda: False)
    tried = chips.of_target(TARGET).run(trial(TARGET, program))
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.SIMULATED
    assert "without its int8 kernels" in tried.on_chip.library
    assert tried.on_chip.figures["db_without_vnni"] > 5
    assert "has no VNNI" in tried.notes[0]


def test_without_the_library_the_program_stands_in(program: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run, and the reason is the command that installs it."""
    monkeypatch.setattr("edgekit.targets.extras.installed", lambda *names: {})
    asked = trial(TARGET, program)
    tried = chips.of_target(TARGET).run(asked)
    assert tried.answers is asked.answers
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.NOT_EXECUTED
    assert "pip install 'edgekit[openvino]'" in tried.on_chip.library

"""Core ML and Vulkan: files that nothing here runs are whole, for their delegate, and without what is known to fail."""

from dataclasses import replace

import pytest

from edgekit import chips, targets
from edgekit.chips import Trial
from edgekit.errors import RunError
from edgekit.model.capture import capture
from edgekit.model.graph import is_dequantize, operation
from edgekit.model.onchip import Executed
from edgekit.model.program import Captured
from edgekit.quantization import quantize
from edgekit.spec import Format, QuantSpec, Scheme
from tests.programs.networks import images, small_source
from tests.programs.trials import cut_off, trial

pytestmark = pytest.mark.slow
COREML, VULKAN = targets.load("ios-coreml"), targets.load("android-vulkan")


@pytest.fixture(scope="module")
def captured() -> Captured:
    """A small network."""
    return capture(small_source(), images(32, seed=1))


@pytest.fixture(scope="module", params=[COREML, VULKAN], ids=lambda target: target.name)
def asked(captured: Captured, request: pytest.FixtureRequest) -> Trial:
    """Its file for each of the two."""
    target = request.param
    if target is COREML:
        pytest.importorskip("coremltools", reason="needs the extra coreml")
    placing = chips.of_target(target).placing
    return trial(target, quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1), placing), Format.PTE)


def test_the_program_stands_in(asked: Trial) -> None:
    """Its layers are the delegate's, its answers are the program's, and the reason is said."""
    tried = chips.of_target(asked.target).run(asked)
    assert tried.answers is asked.answers
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.NOT_EXECUTED
    assert len(asked.artifact.delegates) == 1
    assert asked.artifact.delegated_fraction > 0.8
    assert asked.artifact.batch == 1


def test_other_files_are_refused(asked: Trial) -> None:
    """A file that was cut off, and one that is for a processor."""
    run = chips.of_target(asked.target).run
    with pytest.raises(RunError, match="is damaged"):
        run(cut_off(asked))
    other = replace(asked.artifact, delegates=("XnnpackBackend",))
    with pytest.raises(RunError, match="was lowered for XnnpackBackend"):
        run(replace(asked, artifact=other))


def test_vulkan_has_no_linear_layer_of_integers(asked: Trial) -> None:
    """It would fail at its first inference: it stays float, and a file that has one is refused."""
    if asked.target is not VULKAN:
        pytest.skip("of Vulkan alone")
    linear = [node for node in asked.quantized.program.graph.nodes if operation(node) == "linear"]
    assert linear
    assert not any(is_dequantize(source) for node in linear for source in node.all_input_nodes)
    assert b"q8ta_linear" not in asked.artifact.data
    assert b"q8ta_conv2d" in asked.artifact.data
    data = asked.artifact.data.replace(b"q8ta_conv2d", b"q8ta_linear")
    with pytest.raises(RunError, match="executorch#22775"):
        chips.of_target(VULKAN).run(replace(asked, artifact=replace(asked.artifact, data=data)))

"""Core AI: the archive holds the quantized program, and Apple's runtime says so."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from edgekit import chips, lowering, targets
from edgekit.chips import Trial
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import LowerError, ProjectError, RunError
from edgekit.model.capture import capture
from edgekit.model.graph import operation
from edgekit.model.onchip import Executed
from edgekit.model.program import Quantized
from edgekit.quantization import quantize
from edgekit.spec import Format, QuantSpec, Scheme
from edgekit.spec.schemes import of_target
from tests.programs.networks import images, small_source
from tests.programs.trials import cut_off, trial

pytestmark = pytest.mark.slow
TARGET = targets.load("ios-coreai")


@pytest.fixture(scope="module")
def program() -> Quantized:
    """A small network, with the roundings that a processor wants."""
    return quantize(capture(small_source(), images(32, seed=1)), Scheme.INT8, QuantSpec(), images(32, seed=1))


def test_the_file_is_the_program(program: Quantized) -> None:
    """Every answer is the program's to a few steps; what was changed or cut off is caught."""
    pytest.importorskip("coreai_torch", reason="needs the extra coreai")
    asked, run = trial(TARGET, program, Format.AIMODEL), chips.of_target(TARGET).run
    tried = run(asked)
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.SIMULATED
    assert tried.on_chip.samples == 16
    found = sqnr_db(asked.answers.array("logits"), tried.answers.array("logits"))
    assert found is None or found > 30  # sums in another order tip a step here and there
    assert asked.artifact.file == "model.aimodel.zip"
    with pytest.raises(RunError, match="computes something else"):
        run(changed(asked, partial(with_larger_scale, program)))
    with pytest.raises(RunError, match="refuses the file"):
        run(cut_off(asked))
    with pytest.raises(RunError, match=r"not what main\.hash says"):
        run(changed(asked, with_bit_flipped, hashed=False))


def changed(asked: Trial, change: Callable[[bytes], bytes], *, hashed: bool = True) -> Trial:
    """Return the trial of an archive with other code, with the hash of it or with the old one."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(asked.artifact.data)) as old, zipfile.ZipFile(made, "w") as new:
        files = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
        files["main.mlirb"] = change(files["main.mlirb"])
        if hashed:
            files["main.hash"] = hashlib.sha256(files["main.mlirb"]).digest()
        for name, data in files.items():
            new.writestr(f"model.aimodel/{name}", data)
    return replace(asked, artifact=replace(asked.artifact, data=made.getvalue()))


def with_larger_scale(program: Quantized, code: bytes) -> bytes:
    """Return the code with the scales of the first layer's weights four times as large."""
    module = program.program.module(check_guards=False)
    node = next(one for one in module.graph.nodes if operation(one) == "dequantize_per_channel")
    scale = getattr(module, node.args[1].target).float().numpy()
    assert scale.tobytes() in code
    return code.replace(scale.tobytes(), (scale * 4).tobytes())


def with_bit_flipped(code: bytes) -> bytes:
    """Return the code as it is read from a bad disk."""
    middle = len(code) // 2
    return code[:middle] + bytes([code[middle] ^ 1]) + code[middle + 1 :]


def test_what_core_ai_does_not_take() -> None:
    """Other schemes are refused before any work, with the reason."""
    with pytest.raises(ProjectError, match=r"w8a16 is not for .aimodel.zip: static int8 and float alone"):
        of_target(TARGET, QuantSpec(scheme=Scheme.W8A16))


def test_without_the_runtime_the_program_stands_in(program: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run, and the reason is the command that installs it."""
    asked = trial(targets.load("linux-x86_64"), program)
    monkeypatch.setattr("edgekit.targets.extras.installed", lambda *names: {})
    tried = chips.of_target(TARGET).run(replace(asked, target=TARGET))
    assert tried.answers is asked.answers
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.NOT_EXECUTED
    assert "pip install 'edgekit[coreai]'" in tried.on_chip.library


def test_sizes_that_vary_are_refused(program: Quantized) -> None:
    """A file is written for fixed sizes, which the error says."""
    pytest.importorskip("coreai_torch", reason="needs the extra coreai")
    source = program.captured.source
    longer = replace(source, dimensions={**source.dimensions, "length": source.dimensions["batch"]})
    with pytest.raises(LowerError, match="takes sizes that vary, length"):
        lowering.lower(
            Format.AIMODEL, TARGET, replace(program, captured=replace(program.captured, source=longer)), None
        )

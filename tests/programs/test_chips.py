"""Chips: everything is rounded for them, their libraries run what was lowered, and packages may bring more."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import invalidate_caches
from pathlib import Path

import pytest
import torch

import edgekit
from edgekit import chips, targets
from edgekit.chips import Chip
from edgekit.chips.islands import float_islands
from edgekit.errors import RunError, TargetError
from edgekit.model.capture import capture
from edgekit.model.onchip import Executed
from edgekit.model.program import Captured, Quantized
from edgekit.pipeline.profiling.remake import check_chip
from edgekit.quantization import quantize
from edgekit.spec import Format, Placing, QuantSpec, Scheme, Target
from edgekit.targets.runtimes import header
from tests.programs.networks import images, small_source
from tests.programs.trials import cut_off, trial, with_scale_changed

pytestmark = pytest.mark.slow

EVERYWHERE = Placing(everywhere=True)
NPU = "snapdragon-8-gen-3"


@pytest.fixture(scope="module")
def captured() -> Captured:
    """A small network with gates."""
    return capture(small_source(), images(32, seed=1))


@pytest.fixture(scope="module")
def program(captured: Captured) -> Quantized:
    """The network with every value rounded."""
    return quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1), EVERYWHERE)


def test_nothing_computes_in_float(captured: Captured, program: Quantized) -> None:
    """Gates, the first layer and the last, means and sums: all are rounded; for a processor some stay in float."""
    assert float_islands(program) == ()
    usual = quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1))
    assert any("hardsigmoid" in one.operation for one in float_islands(usual))


def test_an_island_of_float_is_named(captured: Captured) -> None:
    """A layer that the settings keep in float costs a chip two conversions, and is named with its reason."""
    spec = QuantSpec(float_layers=("depthwise.0",))
    kept = quantize(captured, Scheme.INT8, spec, images(32, seed=1), EVERYWHERE)
    assert [one for one in float_islands(kept) if one.place == "conv2d (depthwise.0)"]


def test_the_npu_runs_what_was_lowered(program: Quantized) -> None:
    """Qualcomm's library computes the program on this machine, all of it, and compiles it for the device."""
    pytest.importorskip("onnxruntime_qnn", reason="needs the extra qnn")
    tried_with = trial(targets.load(NPU), program)
    tried = chips.of_target(targets.load(NPU)).run(tried_with)
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.SIMULATED
    assert tried.on_chip.samples == 16
    assert tried.on_chip.elsewhere == ()
    (compiled,) = tried.on_chip.compiled
    assert len(tried.files[compiled.file]) == compiled.bytes
    # An app's runtime is older than this host's, and reads no newer format than the model's own.
    model, made = (header.read(data) for data in (tried_with.artifact.data, tried.files[compiled.file]))
    assert model is not None
    assert made is not None
    assert made.ir_version == model.ir_version
    assert "simulated" in tried.answers.origin.kernels


def test_without_its_library_the_program_stands_in(program: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run, and that is said in the place where a simulation would stand, with the command."""
    monkeypatch.setattr("edgekit.targets.extras.installed", lambda *names: {})
    asked = trial(targets.load(NPU), program)
    tried = chips.of_target(targets.load(NPU)).run(asked)
    assert tried.answers is asked.answers
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.NOT_EXECUTED
    assert "pip install 'edgekit[qnn]'" in tried.on_chip.library


_TOY = """
from edgekit import lowering
from edgekit.chips import Chip, Tried
from edgekit.chips.cpu import CHIP as CPU

def chip():
    return Chip(title="Toy", name_of=lowering.name, lower=CPU.lower, run=run, formats=CPU.formats)

def run(trial):
    return Tried(answers=trial.answers, batches=(1,))

wrong = lambda: "no chip"
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that brings chips, as pip installs one."""
    (tmp_path / "toychip.py").write_text(_TOY, encoding="utf-8")
    info = tmp_path / "toychip-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toychip\nVersion: 1.0\n", encoding="utf-8")
    points = "[edgekit.chips]\ntoy = toychip:chip\nwrong = toychip:wrong\ngone = toychip:nothing\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    yield
    sys.modules.pop("toychip", None)


def named(chip: str) -> Target:
    """Return a target with a chip of this name."""
    target = targets.load("linux-x86_64")
    return target.model_copy(update={"chip": target.chip.model_copy(update={"name": chip})})


@pytest.mark.usefixtures("toy")
def test_a_package_brings_a_chip() -> None:
    """An entry point is all that it takes; what gives no chip is refused with its place."""
    chip = chips.of_target(named("toy"))
    assert isinstance(chip, Chip)
    assert chip.title == "Toy"
    assert "toy" in chips.names()
    with pytest.raises(TargetError, match="toychip:wrong returns no"):
        chips.of_target(named("wrong"))
    with pytest.raises(TargetError, match="toychip:nothing cannot be loaded"):
        chips.of_target(named("gone"))


@pytest.mark.parametrize("name", sorted(set(chips.names())))
def test_every_chip_is_there(name: str) -> None:
    """A module of that name has it, whether what it needs is installed or not."""
    assert isinstance(chips.of_target(named(name)), Chip)


def test_a_profile_that_no_chip_takes_is_refused() -> None:
    """A format that the chip has not, and options that are none of its own; the shipped profiles are taken."""
    npu = targets.load(NPU)
    with pytest.raises(TargetError, match=r"formats: the chip hexagon has no \.pte\.") as caught:
        chips.of_target(npu).refuse(npu.model_copy(update={"formats": (Format.PTE, Format.ONNX)}))
    assert caught.value.hint == "It has .onnx."
    wrong = npu.chip.model_copy(update={"options": {"arch": "none"}})
    with pytest.raises(TargetError, match=r"chip\.options"):
        chips.of_target(npu).refuse(npu.model_copy(update={"chip": wrong}))
    for name in ("snapdragon-8-elite", "web", "cortex-m55", "android-arm64", "tensorrt", "openvino-x86_64"):
        chips.of_target(targets.load(name)).refuse(targets.load(name))


def test_an_unknown_chip_is_an_error() -> None:
    """With the chips that there are."""
    with pytest.raises(TargetError, match="no chip 'npu'") as caught:
        chips.of_target(named("npu"))
    assert "hexagon" in caught.value.hint


def test_a_planted_fault_is_caught(program: Quantized) -> None:
    """A scale that was changed in the file gives other answers than the program's; a damaged file is refused."""
    pytest.importorskip("onnxruntime_qnn", reason="needs the extra qnn")
    asked = trial(targets.load(NPU), program)
    run = chips.of_target(asked.target).run
    with pytest.raises(RunError, match="computes something else"):
        run(with_scale_changed(asked))
    with pytest.raises(RunError, match="refuses the file"):
        run(cut_off(asked))


def test_a_simulation_without_time_runs_the_first_samples(program: Quantized) -> None:
    """Legs say of how many; the reference is cut to the same ones."""
    pytest.importorskip("onnxruntime_qnn", reason="needs the extra qnn")
    asked = replace(trial(targets.load(NPU), program), seconds=0.0)
    tried = chips.of_target(asked.target).run(asked)
    assert tried.on_chip is not None
    assert tried.on_chip.samples == len(tried.answers) == 2
    assert tried.answers.samples.digest == asked.host.first(2).samples.digest


@pytest.mark.parametrize("name", [NPU, "cortex-m55", "tensorrt", "android-vulkan"])
def test_what_rounds_otherwise_than_a_cpu_is_not_profiled(name: str) -> None:
    """Its layers are not those that are simulated; what rounds as a CPU does is."""
    with pytest.raises(TargetError, match="cannot be profiled"):
        check_chip(targets.load(name))
    for one in ("web", "openvino-x86_64", "linux-x86_64"):
        check_chip(targets.load(one))


def test_all_simulations_of_a_build_share_four_minutes() -> None:
    """One alone has two of them; what runs on a CPU takes no part."""
    npu, cpu = targets.load(NPU), targets.load("linux-x86_64")
    assert chips.seconds_each([npu, cpu]) == 120
    assert chips.seconds_each([npu] * 8 + [cpu]) == 30
    assert chips.seconds_each([cpu]) == 120


def test_the_stages_round_as_the_chip_wants(captured: Captured) -> None:
    """From Python a target says what is rounded, as in a whole build."""
    data = {"image": torch.from_numpy(images(32, seed=1).array("image"))}
    assert float_islands(edgekit.quantize(captured, data, target=NPU)) == ()
    assert float_islands(edgekit.quantize(captured, data)) != ()

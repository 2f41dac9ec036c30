"""Arm's chips: what they run is our program, to a few steps, and a fault in the file is seen."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgekit import chips, targets
from edgekit.chips import Trial
from edgekit.chips.arm import steps
from edgekit.chips.arm.integers import write_integers
from edgekit.chips.arm.plan import read
from edgekit.chips.arm.prepare import prepare
from edgekit.chips.arm.written import alone
from edgekit.errors import LowerError, RunError, TargetError
from edgekit.execution.eager import run_float, run_quantized
from edgekit.execution.proof import quantization_db
from edgekit.model.capture import capture
from edgekit.model.graph import is_dequantize, operation
from edgekit.model.onchip import Executed
from edgekit.model.program import Quantized
from edgekit.quantization import quantize
from edgekit.spec import Format, Placing, QuantSpec, Scheme
from edgekit.targets import extras
from tests.programs.networks import images, small_source

pytestmark = pytest.mark.slow

SAMPLES = images(16, seed=2)


@pytest.fixture(scope="module")
def program() -> Quantized:
    """A small network with gates, every value rounded."""
    captured = capture(small_source(), images(32, seed=1))
    return quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1), Placing(everywhere=True))


def trial(name: str, program: Quantized) -> Trial:
    """Return the artifact of a program with what it is tried with."""
    target, captured = targets.load(name), program.captured
    artifact, _ = chips.of_target(target).lower(Format.PTE, target, program, None)
    return Trial(
        artifact=artifact,
        target=target,
        source=captured.source,
        samples=SAMPLES,
        quantized=program,
        answers=run_quantized(program, SAMPLES),
        host=run_float(captured.source, SAMPLES, batch=1),
        memory=captured.memory,
    )


@pytest.fixture(scope="module")
def _operators() -> None:
    """What torch must know to write or read a file for a microcontroller."""
    pytest.importorskip("tosa_serializer", reason="needs the extra cortex-m")


@pytest.fixture(scope="module")
def on_cortex_m(program: Quantized, _operators: None) -> Trial:
    """The network for a Cortex-M55."""
    return trial("cortex-m55", program)


@pytest.fixture(scope="module", params=["ethos-u85-256", "arm-vgf"])
def on_npu(program: Quantized, request: pytest.FixtureRequest) -> Trial:
    """The network for what reads graphs of TOSA."""
    extra = extras.of_chip(targets.load(request.param).chip.name)
    assert extra is not None
    if extra.missing:
        pytest.skip(extra.why)
    return trial(request.param, program)


@pytest.mark.usefixtures("_operators")
@pytest.mark.parametrize("write", [lambda _: None, write_integers], ids=["prepared", "integers"])
def test_what_is_written_anew_computes_the_same(program: Quantized, write: Callable[[object], None]) -> None:
    """Means as convolutions, biases of integers and tables in place of functions: only biases round otherwise."""
    kept = len(program.program.state_dict)
    written = alone(program)
    prepare(written)
    write(written)
    assert len(program.program.state_dict) == kept
    assert not {"mean", "relu"} & {operation(node) for node in written.graph.nodes if node.op == "call_function"}
    module, expected = written.module(), run_quantized(program, SAMPLES).outputs["logits"]
    found = np.concatenate([module(torch.from_numpy(one[None])).detach().numpy() for one in SAMPLES.array("image")])
    (last,) = (one for one in written.graph.output_node().all_input_nodes if is_dequantize(one))
    own = steps.of(last)
    assert own is not None
    assert np.abs(found - expected[:]).max() <= 3.5 * own.scale


def test_a_microcontroller_runs_what_was_lowered(on_cortex_m: Trial) -> None:
    """All by kernels of CMSIS-NN, whose model computes the plan in the file."""
    tried = chips.of_target(on_cortex_m.target).run(on_cortex_m)
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.SIMULATED
    assert tried.on_chip.samples == len(SAMPLES)
    assert tried.on_chip.elsewhere == ()
    assert 0 < tried.on_chip.figures["planned_bytes"] < 20_000
    assert quantization_db(tried.answers.outputs, on_cortex_m.answers.outputs)["logits"] > 20


def test_an_npu_runs_what_was_lowered(on_npu: Trial) -> None:
    """The graph from which the stream in the file was made, on TOSA's reference model; with the compiler's figures."""
    tried = chips.of_target(on_npu.target).run(on_npu)
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.SIMULATED
    assert tried.on_chip.elsewhere == ()
    if on_npu.target.chip.name == "ethos-u":
        assert tried.on_chip.figures["cycles"] > 1000
        assert tried.on_chip.figures["sram_kib"] > 0
        assert on_npu.artifact.delegates == ("EthosUBackend",)
    else:
        assert tried.on_chip.figures["vgf_bytes"] == len(*read(on_npu.artifact.data).delegated)
        assert on_npu.artifact.delegates == ("VgfBackend",)
    assert quantization_db(tried.answers.outputs, on_npu.answers.outputs)["logits"] > 24


def changed(trial: Trial, old: bytes, new: bytes) -> Trial:
    """Return a trial of the file with other bytes in one place."""
    data = trial.artifact.data
    assert data.count(old) == 1
    return replace(trial, artifact=replace(trial.artifact, data=data.replace(old, new)))


def test_a_changed_scale_is_caught(on_cortex_m: Trial) -> None:
    """A layer's multipliers, halved in the file, are half of its scale."""
    held = read(on_cortex_m.artifact.data).constants.values()
    scales = next(one for one in held if one.dtype is torch.int32 and one.min() >= 2**30)
    faulty = changed(on_cortex_m, scales.numpy().tobytes(), (scales // 2).numpy().tobytes())
    with pytest.raises(RunError, match="computes something else"):
        chips.of_target(faulty.target).run(faulty)


def test_a_changed_stream_is_caught(on_npu: Trial) -> None:
    """The NPU would run what no graph stands for that was run here."""
    (stream,) = read(on_npu.artifact.data).delegated
    place = stream.index(b"weight_data") + 48 if b"weight_data" in stream else len(stream) // 2
    other = stream[:place] + bytes([stream[place] ^ 0x55]) + stream[place + 1 :]
    faulty = changed(on_npu, stream, other)
    with pytest.raises(RunError, match="another stream"):
        chips.of_target(faulty.target).run(faulty)


def test_a_damaged_file_is_refused(on_cortex_m: Trial) -> None:
    """By name, and with the way out."""
    damaged = replace(on_cortex_m, artifact=replace(on_cortex_m.artifact, data=on_cortex_m.artifact.data[:2000]))
    with pytest.raises(RunError, match="damaged"):
        chips.of_target(damaged.target).run(damaged)


def test_what_a_chip_does_not_know_is_said(program: Quantized) -> None:
    """An unknown core is one of the profile; another scheme than int8 has no kernels."""
    target = targets.load("cortex-m55")
    other = target.model_copy(update={"chip": target.chip.model_copy(update={"options": {"core": "cortex-m1"}})})
    lower = chips.of_target(target).lower
    with pytest.raises(TargetError, match="cortex-m1"):
        lower(Format.PTE, other, program, None)
    with pytest.raises(LowerError, match="8 bits alone"):
        lower(Format.PTE, target, replace(program, scheme=Scheme.W8A16), None)

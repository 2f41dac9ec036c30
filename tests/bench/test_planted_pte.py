"""Bisection inside a .pte: planted faults of every kind are named at their operation, and reproduced."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.networks import NETWORKS
from bench.planted import TARGET, Built
from bench.planted_pte import KINDS, build, plant
from edgekit.data.samples import Samples
from edgekit.errors import EdgeKitError
from edgekit.execution import pte as runtime
from edgekit.lowering import pte as lowering
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.bisecting import reproducer
from edgekit.pipeline.bisecting.inside import Found, look_inside
from edgekit.pipeline.bisecting.ptefile import HiddenError, PteFile
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec, Scheme, TensorSpec
from tests.bench.test_planted import Means
from tests.programs.networks import images

pytestmark = pytest.mark.slow


class Apart(nn.Module):
    """An operation that no delegate takes lies between convolutions: the program calls two delegates."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        x = torch.atan(self.second(self.first(image)))
        logits: Tensor = self.last(nn.functional.relu(self.third(x)).flatten(1))
        return logits


class Mirrored(nn.Module):
    """Pads that are cut out of tensors of fixed sizes: a call takes one sample."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.last = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        x = nn.functional.relu(self.second(nn.functional.relu(self.first(image))))
        logits: Tensor = self.last(x.flatten(1))
        return logits


class Recurrent(nn.Module):
    """The delegate is called in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.GRU(8, 8, batch_first=True)
        self.last = nn.Linear(8, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        states, _ = self.gate(image[:, 0])
        logits: Tensor = self.last(states[:, -1])
        return logits


def quantized(model: nn.Module, scheme: Scheme = Scheme.INT8) -> Quantized:
    """Return a small network's program."""
    image = TensorSpec(name="image", shape=("batch", 1, 8, 8))
    logits = TensorSpec(name="logits", shape=("batch", 10), meaning="logits")
    source = source_from_module("small", model, (image,), (logits,), {"batch": 64})
    calibration: Samples = images(128, seed=1)
    return quantize(capture(source, calibration), scheme, QuantSpec(), calibration)


def made(model: Callable[[], nn.Module], scheme: Scheme = Scheme.INT8) -> Built:
    """Build a small network's program and .pte."""
    torch.manual_seed(0)
    program = quantized(model().eval(), scheme)
    return Built(quantized=program, data=lowering.lower(program, TARGET.pte).data, samples=images(32, seed=2))


@pytest.fixture(scope="module")
def means() -> Built:
    """Build the small network."""
    return made(Means)


def looked(built: Built, data: bytes, *, foreign: bool = False) -> Found:
    """Hold a file against the program."""
    return look_inside("model.pte", data, built.data, TARGET.cpu, built.quantized, built.samples, foreign=foreign)


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the script of a reproducer alone."""
    command = [sys.executable, "-I", "-W", "ignore", str(folder / "reproduce.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_payload_is_written_back_to_the_bit(means: Built) -> None:
    """JSON between would round floats: they are read as their bits."""
    file = PteFile(means.data)
    (delegate,) = file.delegates
    written = delegate.written(delegate.graph())
    assert file.with_payloads([written], {}) == file.with_payloads([delegate.with_outputs(())], {})
    assert written in means.data


def test_looking_changes_no_answer(means: Built) -> None:
    """The copy with all inner values as outputs gives the answers of the file, to the bit."""
    file, source = PteFile(means.data), means.quantized.captured.source
    data, names = file.tapped([one.name for one in file.offered()], 32)
    assert len(names) >= 5
    whole, looked_into = (
        np.array(runtime.call(runtime.load(one), source.inputs, source.outputs, means.samples)["logits"])
        for one in (means.data, data)
    )
    np.testing.assert_array_equal(whole, looked_into)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named_and_reproduced(means: Built, kind: str, tmp_path: Path) -> None:
    """The operation by its node in the program; the script, run alone, ends with 1 and the same difference."""
    fault = plant(means, kind, 1)
    found = looked(means, fault.data)
    assert found.parting is not None
    assert found.parting.name in fault.operations
    assert found.parting.reason
    for name, content in reproducer.files_of_pte(found).items():
        (tmp_path / name).write_bytes(content)
    done = run(tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("SQNR ")
    assert found.parting.worst is not None
    assert f"program {found.parting.worst.first:.6g}" in done.stdout


def test_a_whole_operation_shows_no_difference(means: Built, tmp_path: Path) -> None:
    """The twins: the whole file parts nowhere; its operation in place of the faulty one shows rounding at most."""
    right = looked(means, means.data)
    assert right.parting is None
    assert "values inside the delegate" in right.note
    found = looked(means, plant(means, "transposed weight", 1).data)
    assert found.inner is not None
    own = PteFile(means.data)
    others = [one.name for one in own.offered() if one.name != found.inner.name]
    whole, taken = own.alone(own.inner[found.inner.name], others)
    assert found.cut is not None
    assert set(taken) == set(found.cut.inputs)
    for name, content in reproducer.files_of_pte(replace(found, alone=whole)).items():
        (tmp_path / name).write_bytes(content)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr


def test_several_delegates_are_looked_into() -> None:
    """What leaves one of them is held against the program, too."""
    built = made(Apart)
    file = PteFile(built.data)
    assert len(file.delegates) == 2
    assert looked(built, built.data).parting is None
    (first, second) = file.delegates
    graph = second.graph()
    layer = next(one for one in graph["xnodes"] if one["xnode_union_type"] == "XNNConv2d")
    layer["xnode_union"]["padding_left"] -= 1
    layer["xnode_union"]["padding_right"] += 1
    data = file.with_payloads([first.written(first.graph()), second.written(graph)], {})
    found = looked(built, data, foreign=True)
    assert found.parting is not None
    assert found.parting.path == "third"
    assert "padding_left is 0 in the file, 1 in the program's own" in found.parting.reason


def test_a_file_of_one_sample_is_run_sample_by_sample() -> None:
    """Its inner values are those of all samples."""
    built = made(Mirrored)
    assert PteFile(built.data).fixed
    assert looked(built, built.data).parting is None
    fault = plant(built, "transposed weight", 1)
    found = looked(built, fault.data).parting
    assert found is not None
    assert found.name in fault.operations


def test_float_and_dynamic_files_are_looked_into() -> None:
    """Their values are floats: the layer with the transposed weight is named."""
    for scheme in (Scheme.FLOAT, Scheme.INT8_DYNAMIC):
        built = made(Means, scheme)
        assert looked(built, built.data).parting is None
        fault = plant(built, "transposed weight", 3)
        found = looked(built, fault.data).parting
        assert found is not None
        assert found.name in fault.operations


def test_what_hides_its_inside_says_why() -> None:
    """A delegate in a loop computes each value many times."""
    built = made(Recurrent)
    with pytest.raises(HiddenError, match="loops"):
        looked(built, built.data)


def test_whatever_the_bytes_a_file_is_taken_apart_or_refused(means: Built) -> None:
    """A graph made to harm ends in an error of ours, or in a file that is run in a process of its own."""
    begin = means.data.index(b"XH00") - 4
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        data = bytearray(means.data)
        for at in draw.integers(begin, begin + 2048, 8):
            data[at] = draw.integers(256)
        try:
            file = PteFile(bytes(data))
            file.tapped(list(file.inner), 8)
        except (EdgeKitError, HiddenError):
            refused += 1
    assert refused > 10


def test_a_real_network_is_whole_and_a_fault_in_it_found() -> None:
    """One of the six; scripts/bisect-faults plants 60 in all of them."""
    built = build(NETWORKS["signal-cnn"], samples=16)
    assert looked(built, built.data).parting is None
    found = looked(built, plant(built, "off-by-one pad", 3).data, foreign=True).parting
    assert found is not None
    assert found.path.startswith("features.")
    assert found.line.startswith("signal.py:")

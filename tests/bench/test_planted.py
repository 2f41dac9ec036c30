"""Bisection: planted faults of every kind are named at their operation, and their reproducers show them alone."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from bench.networks import NETWORKS
from bench.planted import KINDS, TARGET, Built, build, plant
from edgekit.data.samples import Samples
from edgekit.lowering import onnx as lowering
from edgekit.model.capture import capture
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.bisecting import reproducer
from edgekit.pipeline.bisecting.floats import narrow_floats
from edgekit.pipeline.bisecting.narrow import Narrowed, narrow
from edgekit.pipeline.profiling import departures
from edgekit.pipeline.profiling.tapped import apart
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec, Scheme, TensorSpec
from tests.programs.networks import images

pytestmark = pytest.mark.slow


class Means(nn.Module):
    """Hard-swish between convolutions, and a mean of four integers: every fourth lies in the middle of two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        x = nn.functional.hardswish(self.second(self.first(image)))
        x = nn.functional.relu(self.third(x))
        logits: Tensor = self.last(nn.functional.avg_pool2d(x, 2).flatten(1))
        return logits


@pytest.fixture(scope="module")
def means() -> Built:
    """Build the small network."""
    torch.manual_seed(0)
    return small(Scheme.INT8)


def small(scheme: Scheme) -> Built:
    """Build the small network in a scheme."""
    image = TensorSpec(name="image", shape=("batch", 1, 8, 8))
    logits = TensorSpec(name="logits", shape=("batch", 10), meaning="logits")
    source = source_from_module("means", Means(), (image,), (logits,), {"batch": 64})
    calibration: Samples = images(128, seed=1)
    quantized = quantize(capture(source, calibration), scheme, QuantSpec(), calibration)
    data = lowering.lower(quantized, TARGET.onnx).data
    return Built(quantized=quantized, data=data, samples=images(32, seed=2))


def test_what_lies_in_the_middle_may_go_either_way(means: Built) -> None:
    """A quarter of the means are another step in the kernel, none of them elsewhere than in the middle of two."""
    observed = departures.observe("model.onnx", means.data, TARGET.cpu, means.quantized, means.samples)
    assert observed.first is None
    assert {one.sums.tipped for one in observed.seen} == {0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named_and_reproduced(means: Built, kind: str, tmp_path: Path) -> None:
    """The operation by its node in the program; the script, run alone, ends with 1 and the same difference."""
    fault = plant(means, kind, 1)
    found = narrow("model.onnx", fault.data, TARGET.cpu, means.quantized, means.samples)
    assert found.parting is not None
    assert found.parting.name in fault.operations
    assert found.cut is not None
    for name, content in reproducer.files(found).items():
        (tmp_path / name).write_bytes(content)
    assert len(onnx.load(tmp_path / "model.onnx").graph.node) <= 5
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "reproduce.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("SQNR ")
    assert found.parting.worst is not None
    assert f"program {found.parting.worst.first:.6g}" in done.stdout


def test_a_whole_operation_shows_no_difference(means: Built, tmp_path: Path) -> None:
    """The twin: with the right operation in place of the faulty one, the same script finds rounding at most."""
    fault = plant(means, "transposed weight", 1)
    found = narrow("model.onnx", fault.data, TARGET.cpu, means.quantized, means.samples)
    right = narrow("model.onnx", means.data, TARGET.cpu, means.quantized, means.samples)
    assert right.parting is None
    for name, content in reproducer.files(found).items():
        (tmp_path / name).write_bytes(content)
    assert found.cut is not None
    alone = onnx.load(tmp_path / "model.onnx")
    whole = {item.name: item for item in onnx.load_model_from_string(means.data).graph.initializer}
    for node in alone.graph.node:  # the planted constant back to the file's own
        for at, name in enumerate(node.input):
            if name.startswith("planted"):
                (original,) = [
                    one for one in onnx.load_model_from_string(means.data).graph.node if one.output == node.output
                ]
                node.input[at] = original.input[at]
                alone.graph.initializer.append(whole[original.input[at]])
    onnx.save(alone, tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "reproduce.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SQNR ")


def transposed(data: bytes, layer: int) -> bytes:
    """Return an .onnx with the weight of one layer transposed."""
    model = onnx.load_model_from_string(data)
    constants = {item.name: item for item in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node}
    node = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul", "MatMulInteger")][layer]
    weight = constants[made[node.input[1]].input[0] if node.input[1] in made else node.input[1]]
    array = numpy_helper.to_array(weight)
    other = np.ascontiguousarray(array.swapaxes(0, 1)).reshape(array.shape)
    weight.CopyFrom(numpy_helper.from_array(other, weight.name))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("scheme", [Scheme.W8A16, Scheme.INT8_DYNAMIC, Scheme.FLOAT])
def test_other_schemes_are_looked_into(scheme: Scheme, tmp_path: Path) -> None:
    """Of each layer the transposed weight is named and reproduced, and a whole file parts nowhere."""
    torch.manual_seed(0)
    built = small(scheme)
    job = partial(look, built, scheme)
    assert job(built.data).parting is None
    for layer, path in ((1, "second"), (3, "last")):
        found = job(transposed(built.data, layer))
        assert found.parting is not None
        assert (found.parting.operation, found.parting.path) == ("linear" if path == "last" else "conv2d", path)
        for name, content in reproducer.files(found).items():
            (tmp_path / name).write_bytes(content)
        command = [sys.executable, "-I", str(tmp_path / "reproduce.py")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert done.stdout.startswith("SQNR ")


def look(built: Built, scheme: Scheme, data: bytes) -> Narrowed:
    """Hold an .onnx against its program, as its scheme has it."""
    if scheme is Scheme.W8A16:
        return narrow("model.onnx", data, TARGET.cpu, built.quantized, built.samples)
    single = scheme is Scheme.INT8_DYNAMIC
    return narrow_floats("model.onnx", data, built.data, TARGET.cpu, built.quantized, built.samples, single=single)


def test_a_real_network_is_whole_and_a_fault_in_it_found() -> None:
    """One of the six; scripts/bisect-faults plants 60 in all of them."""
    built = build(NETWORKS["signal-cnn"], samples=16)
    assert narrow("model.onnx", built.data, TARGET.cpu, built.quantized, built.samples).parting is None
    fault = plant(built, "off-by-one pad", 3)
    opener = apart(TARGET.cpu, built.quantized.captured.source)
    found = narrow("model.onnx", fault.data, TARGET.cpu, built.quantized, built.samples, opener=opener).parting
    assert found is not None
    assert found.name in fault.operations
    assert found.path.startswith("features.")
    assert found.line.startswith("signal.py:")

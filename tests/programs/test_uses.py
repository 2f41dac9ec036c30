"""A parameter with several uses: each use answers for its own inputs, and the file holds the weight once."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edgekit.data.rows import whole
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.program import Captured, Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.quantization.attributes import attribute
from edgekit.quantization.uses import families, parameters, separate
from edgekit.spec import Cpu, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec


class Siamese(nn.Module):
    """One tower for two inputs, the second eight times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.tower, self.last = nn.Linear(16, 64), nn.Linear(64, 16)

    def second(self) -> nn.Module:
        """Return the tower for the second input."""
        return self.tower

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 16) of two (batch, 16)."""
        result: Tensor = self.last(torch.relu(self.tower(left)) + torch.relu(self.second()(8 * right)))
        return result


class Apart(Siamese):
    """The same with a copy of the tower."""

    def __init__(self) -> None:
        super().__init__()
        self.copy = nn.Linear(16, 64)

    def second(self) -> nn.Module:
        """Return the tower for the second input."""
        return self.copy


class Thrice(nn.Module):
    """One convolution in a row, at ranges of its own each time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 8, 2, 2) of two (batch, 16)."""
        x = torch.relu(self.stem(torch.cat([left, right, left], 1).view(-1, 3, 4, 4)))
        result: Tensor = self.last(torch.relu(self.head(torch.relu(self.head(torch.relu(self.head(x) * 4)) + 2))))
        return result


class Norms(nn.Module):
    """One convolution in front of two batch norms, called twice; or called once, and read twice."""

    def __init__(self, once: bool) -> None:
        super().__init__()
        self.layer, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        self.once = once
        for norm in self.norms:
            norm.get_buffer("running_mean").normal_()
            norm.get_buffer("running_var").uniform_(0.1, 3)
            nn.init.uniform_(norm.get_parameter("weight"), 0.5, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 4, 4, 4) of two (batch, 16)."""
        x = torch.cat([left, right], 1).view(-1, 2, 4, 4)
        one = self.layer(x)
        other = one if self.once else self.layer(2 * x)
        result: Tensor = self.last(torch.relu(self.norms[0](one)) + torch.relu(self.norms[1](other)))
        return result


class Skipped(Norms):
    """The convolution is read beside its batch norm."""

    def __init__(self) -> None:
        super().__init__(once=True)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 4, 4, 4) of two (batch, 16)."""
        x = self.layer(torch.cat([left, right], 1).view(-1, 2, 4, 4))
        result: Tensor = self.last(torch.relu(self.norms[0](x)) + x)
        return result


class Tied(nn.Module):
    """The last layer is the first one's weight under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16, bias=False)
        self.last.weight = self.first.weight

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 16) of two (batch, 16)."""
        result: Tensor = self.last(torch.relu(self.middle(torch.relu(self.first(left + right)))))
        return result


class Steps(nn.Module):
    """A recurrent cell, four steps of it, from a state of zeros: its weights are read at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.of_input, self.of_state, self.last = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 16) of two (batch, 16)."""
        state = torch.zeros_like(left)
        for part in (left[:, :8], left[:, 8:], right[:, :8], right[:, 8:]):
            state = torch.tanh(self.of_input(part) + self.of_state(state))
        result: Tensor = self.last(state)
        return result


MODELS = {
    "siamese": Siamese,
    "apart": Apart,
    "thrice": Thrice,
    "two norms": lambda: Norms(once=False),
    "two norms, one layer": lambda: Norms(once=True),
    "norm and skip": Skipped,
    "tied": Tied,
    "steps": Steps,
}
IMAGES = {"thrice": (8, 2, 2), "two norms": (4, 4, 4), "two norms, one layer": (4, 4, 4), "norm and skip": (4, 4, 4)}


def pairs(count: int, seed: int) -> Samples:
    """Return seeded noise for two inputs."""
    generator = np.random.default_rng(seed)
    return Samples(inputs={name: generator.normal(size=(count, 16)).astype(np.float32) for name in ("left", "right")})


def captured(name: str) -> Captured:
    """Capture one of the networks, with the same seeded weights each time."""
    torch.manual_seed(0)
    model = MODELS[name]()
    if isinstance(model, Apart):
        model.copy.load_state_dict(model.tower.state_dict())
    inputs = tuple(TensorSpec(name=one, shape=("batch", 16)) for one in ("left", "right"))
    output = TensorSpec(name="result", shape=("batch", *IMAGES.get(name, (16,))))
    return capture(source_from_module("net", model.eval(), inputs, (output,), {"batch": 64}), pairs(64, 1))


def ratio(program: Captured, found: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Return the SQNR of answers for the evaluation samples in dB."""
    reference = run_float(program.source, pairs(200, 2)).array("result")
    value = sqnr_db(reference.astype(np.float64), found.astype(np.float64))
    assert value is not None
    return value


def simulated(program: Captured) -> float:
    """Return the SQNR of the quantized program in dB."""
    quantized = quantize(program, Scheme.INT8, QuantSpec(), pairs(512, 1))
    return ratio(program, run_quantized(quantized, pairs(200, 2)).array("result"))


def lowered(quantized: Quantized) -> tuple[Artifact, Artifact]:
    """Return both files."""
    return pte.lower(quantized, PteSettings()), onnx.lower(quantized, OnnxSettings())


@pytest.mark.parametrize("name", MODELS)
def test_every_use_has_parameters_of_its_own(name: str) -> None:
    """No parameter has two readers any more, and the network computes what it did; the program is as it was."""
    program = captured(name)
    module = copy.deepcopy(program.program.module(check_guards=False))
    assert isinstance(module, fx.GraphModule)
    inputs = tuple(torch.from_numpy(array) for array in pairs(64, 3).inputs.values())
    before = module(*inputs)
    separate(module)
    torch.testing.assert_close(module(*inputs), before, rtol=0, atol=0)
    nodes = parameters(module)
    assert all(len(node.users) <= 1 for node in nodes)
    read = [attribute(module, node).data_ptr() for node in nodes if node.users]
    assert len(set(read)) == len(read)
    expected = {"siamese": 2, "thrice": 2, "two norms": 2, "tied": 1, "steps": 4}
    assert len(families(nodes)) == expected.get(name, 0)


def test_two_uses_lose_nothing_against_two_copies() -> None:
    """Weights are rounded for both inputs at once; a model with copies rounds each for its own."""
    assert simulated(captured("siamese")) > simulated(captured("apart")) - 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["siamese", "thrice", "two norms", "two norms, one layer", "norm and skip", "tied", "steps"]
)
def test_both_runtimes_compute_the_program(name: str) -> None:
    """Each use has the bias that its own input's scale asks for: the files are no worse than the program."""
    program = captured(name)
    quantized = quantize(program, Scheme.INT8, QuantSpec(), pairs(512, 1))
    evaluation = pairs(200, 2)
    expected = ratio(program, run_quantized(quantized, evaluation).array("result"))
    assert expected > 25
    for artifact in lowered(quantized):
        source = program.source
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert ratio(program, whole(opened.run(evaluation, 1)["result"])) > expected - 0.5
        turned = whole(opened.run(evaluation.rows(slice(None, None, -1)), 1)["result"])
        assert ratio(program, turned) < expected - 10


class Words(nn.Module):
    """A last layer that is the table of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(32, 16), nn.Linear(16, 32, bias=False)
        self.last.weight = self.table.weight

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 16, 32) of two (batch, 16)."""
        result: Tensor = self.last(self.table((left > 0).long()) + self.table((right > 0).long()))
        return result


def test_bytes_are_counted_as_files_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two layers share counts once; a table and the layer that shares it are there beside each other."""
    monkeypatch.setitem(MODELS, "words", Words)
    monkeypatch.setitem(IMAGES, "words", (16, 32))
    tower, words = (
        quantize(captured(name), Scheme.INT8_DYNAMIC, QuantSpec(scheme=Scheme.INT8_DYNAMIC), pairs(64, 1))
        for name in ("siamese", "words")
    )
    assert tower.weight_bytes == tower.captured.source.float_bytes - 3 * (16 * 64 + 64 * 16)
    assert words.weight_bytes == 2 * 32 * 16


class Wide(Siamese):
    """A tower that outweighs all else in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.tower, self.last = nn.Linear(16, 2048), nn.Linear(2048, 16)


@pytest.mark.slow
def test_a_file_holds_a_shared_weight_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """32,768 weights: a second use costs 13 bytes an output, for its bias and scales; a copy would cost 29."""
    monkeypatch.setitem(MODELS, "wide", Wide)
    program = captured("wide")
    for artifact in lowered(quantize(program, Scheme.INT8, QuantSpec(), pairs(128, 1))):
        assert len(artifact.data) < 2 * 16 * 2048 + 2 * 13 * 2048 + 10_000


def test_a_weight_that_a_batch_norm_changes_is_a_weight_of_its_own() -> None:
    """Folded into one of two uses, a batch norm must not reach the other: against it, the twin of the fault."""
    assert simulated(captured("two norms")) > 25
    assert simulated(captured("two norms, one layer")) > 25
    assert simulated(captured("norm and skip")) > 25


def test_a_use_that_reads_zeros_leaves_the_others_their_steps() -> None:
    """The first state of a recurrent cell says nothing of the scale of its weights."""
    assert simulated(captured("steps")) > 25


class Block(nn.Module):
    """A shared block of a convolution and its batch norm, with a layer before it that can be scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        with torch.no_grad():
            self.stem.weight *= torch.linspace(0.05, 2, 8).view(-1, 1, 1, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return (batch, 4, 4, 4) of two (batch, 16)."""
        x = torch.relu(self.stem(torch.cat([left, right], 1).view(-1, 2, 4, 4)))
        result: Tensor = self.last(self.block(x) + self.block(functional.avg_pool2d(x, 3, 1, 1)))
        return result


def test_uses_are_scaled_and_rounded_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equalisation and adaptive rounding leave the same integers in both."""
    monkeypatch.setitem(MODELS, "block", Block)
    monkeypatch.setitem(IMAGES, "block", (4, 4, 4))
    program = quantize(captured("block"), Scheme.INT8, QuantSpec(), pairs(512, 1)).program
    weights = [tensor for tensor in program.state_dict.values() if tensor.dtype == torch.int8 and tensor.ndim == 4]
    weights += [tensor for tensor in program.constants.values() if tensor.dtype == torch.int8 and tensor.ndim == 4]
    middle = [weight for weight in weights if weight.shape[:2] == (8, 8)]
    assert len(middle) in (1, 2)
    assert torch.equal(middle[0], middle[-1])

"""Equalisation: the network computes what it did, and channels of unequal ranges no longer cost precision."""

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.program import Captured
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.stages import capture as capture_example
from edgekit.quantization import quantize
from edgekit.quantization.channels import Kind, components
from edgekit.quantization.equalize import equalize
from edgekit.quantization.uses import separate
from edgekit.spec import OutermostLayer, QuantSpec, Scheme, TensorSpec
from tests.programs.networks import small_source
from tests.programs.test_quantize import PLAIN

ALL = frozenset(Kind)


class Residual(nn.Module):
    """Expansions with batch norm and ReLU6, a depthwise and a grouped convolution, and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU6())
        self.grouped = nn.Conv2d(16, 8, 3, padding=1, groups=4)
        self.head = nn.Sequential(nn.Conv2d(8, 12, 1), nn.ReLU6())
        self.classifier = nn.Linear(12, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = self.stem(image)
        x = x + self.grouped(self.depthwise(self.expand(x)))
        logits: Tensor = self.classifier(self.head(x).mean((2, 3)))
        return logits


class Concatenated(nn.Module):
    """Two branches, concatenated and pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 6, 1), nn.Conv2d(1, 10, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.join = nn.Conv2d(16, 8, 3, padding=1)
        self.classifier = nn.Conv2d(8, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = self.pool(torch.cat([torch.relu(self.left(image)), torch.relu(self.right(image))], 1))
        logits: Tensor = self.classifier(torch.relu(self.join(x))).mean((2, 3), keepdim=True).flatten(1)
        return logits


class Excited(nn.Module):
    """Squeeze-and-excite behind hard-swish: only the gate can be scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, padding=1)
        self.gate = nn.Conv2d(12, 12, 1)
        self.project = nn.Conv2d(12, 8, 1)
        self.classifier = nn.Conv2d(8, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = nn.functional.hardswish(self.first(image))
        x = x * nn.functional.hardsigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        logits: Tensor = self.classifier(torch.relu(self.project(x))).mean((2, 3), keepdim=True).flatten(1)
        return logits


class Block(nn.Module):
    """Two layer norms with their linear layers: the half of a transformer that is not attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(2))
        self.wide = nn.ModuleList(nn.Linear(16, 32) for _ in range(2))
        self.narrow = nn.ModuleList(nn.Linear(32, 16) for _ in range(2))
        self.classifier = nn.Linear(16, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = self.embed(image.flatten(1, 2))
        for norm, wide, narrow in zip(self.norms, self.wide, self.narrow, strict=True):
            x = x + narrow(nn.functional.gelu(wide(norm(x))))
        logits: Tensor = self.classifier(x.mean(1))
        return logits


class Tied(nn.Module):
    """One weight in two layers: what one would need, the other could not have."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(64, 16)
        self.shared = nn.Linear(16, 16)
        self.classifier = nn.Linear(16, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = torch.relu(self.embed(image.flatten(1)))
        logits: Tensor = self.classifier(torch.relu(self.shared(torch.relu(self.shared(x)))))
        return logits


class Tail(nn.Module):
    """Linear layers alone: a sample shows each channel one value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        logits: Tensor = self.last(torch.relu(self.second(torch.relu(self.first(image.flatten(1))))))
        return logits


class Alone(nn.Module):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        logits: Tensor = self.layer(image.flatten(1))
        return logits


def captured(model: nn.Module, calibration: Samples) -> Captured:
    """Capture a network of pictures of 8 x 8."""
    image, output = TensorSpec(name="image", shape=("batch", 1, 8, 8)), TensorSpec(name="logits", shape=("batch", 4))
    return capture(source_from_module("net", model, (image,), (output,), {"batch": 64}), calibration)


def pictures(count: int, seed: int) -> Samples:
    """Return seeded noise."""
    return Samples(inputs={"image": np.random.default_rng(seed).normal(size=(count, 1, 8, 8)).astype(np.float32)})


def uneven(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give the channels of every layer ranges from a twentieth to twice what they were; the network stays float."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.LayerNorm | nn.BatchNorm2d):
                shares = torch.rand(len(module.weight), generator=generator) * 1.95 + 0.05
                module.weight *= shares.view(-1, *[1] * (module.weight.ndim - 1))
    return model


def lopsided(writer: nn.Module, *readers: nn.Module) -> None:
    """Make every second channel a tenth as large where it is written, and its readers' weights ten times as large."""
    with torch.no_grad():
        for parameter in writer.parameters():
            parameter[::2] /= 10
        for reader in readers:
            reader.get_parameter("weight")[:, ::2] *= 10


def needy(name: str) -> tuple[nn.Module, str]:
    """Return a network built to need a step, and the step."""
    torch.manual_seed(0)
    if name == "layers":
        plain = Concatenated()
        for branch in (plain.left, plain.right):
            lopsided(branch)
        lopsided(nn.Identity(), plain.join)
        return plain, "equalization"
    if name == "gate":
        excited = Excited()
        with torch.no_grad():  # gates of a tenth and of nine tenths
            excited.gate.weight.zero_()
            excited.gate.get_parameter("bias").copy_(torch.tensor([-2.4, 2.4]).repeat(6))
            excited.project.weight[:, ::2] *= 10
        return excited, "equalization"
    block = Block()
    for norm, wide in zip(block.norms, block.wide, strict=True):
        lopsided(norm, wide)
    return block, "smooth_quant"


def graph_of(program: Captured) -> fx.GraphModule:
    """Return the captured graph with parameters of its own."""
    module = copy.deepcopy(program.program.module(check_guards=False))
    assert isinstance(module, fx.GraphModule)
    return module


@pytest.mark.parametrize(
    "make", [lambda: small_source().model, Residual, Concatenated, Excited, Block], ids=lambda make: make.__name__
)
def test_the_network_computes_what_it_did(make: type[nn.Module]) -> None:
    """Also on samples that calibration never saw, as long as they reach no clamp that calibration did not."""
    torch.manual_seed(0)
    calibration, other = pictures(512, 1), torch.from_numpy(pictures(32, 2).inputs["image"]) / 2
    module = graph_of(captured(uneven(make()), calibration))
    before = module(other)
    assert equalize(module, [[(torch.from_numpy(calibration.inputs["image"]),)]], ALL) > 0
    torch.testing.assert_close(module(other), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clamp", [nn.ReLU6(), nn.Hardtanh(0, 4), nn.Hardtanh(-1, 1)], ids=str)
def test_what_a_clamp_ends_is_not_scaled(clamp: nn.Module) -> None:
    """A clamp has one end for all channels. Inputs ten times as bright reach it, and must find it where it was."""
    torch.manual_seed(0)
    calibration = pictures(512, 1)
    image = torch.from_numpy(calibration.inputs["image"])
    layers = (
        nn.Conv2d(1, 8, 3),
        clamp,
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3),
        nn.Flatten(),
        nn.LazyLinear(4),
    )
    model = nn.Sequential(*layers)
    model(image[:1])
    module = graph_of(capture_example(uneven(model.eval()), image[:2]))
    before = module(10 * image)
    assert 0 < equalize(module, [[(image,)]], ALL) <= 8, "the channels between the two layers without a clamp"
    torch.testing.assert_close(module(10 * image), before, rtol=1e-4, atol=1e-4)


def test_factors_that_do_not_serve_another_fold_are_left_out() -> None:
    """Channels that half of the samples leave silent, and that the others wake, have no factor that serves both."""
    torch.manual_seed(0)
    first = nn.Conv2d(2, 8, 1, bias=False)
    model = nn.Sequential(first, nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.LazyLinear(4))
    image = torch.rand(256, 2, 8, 8)
    model(image[:1])
    with torch.no_grad():
        first.weight.zero_()
        first.weight[:4, 0] = 1
        first.weight[4:, 1] = 1
    program = capture_example(model.eval(), image[:2])
    quiet = image * torch.tensor([1.0, 0.02])[:, None, None]
    assert equalize(graph_of(program), [[(quiet,)], [(quiet.flip(0),)]], ALL) > 0
    assert equalize(graph_of(program), [[(quiet,)], [(image,)]], ALL) == 0


def test_tied_weights_are_scaled_alike() -> None:
    """What reads their outputs is the same layer again: both uses are scaled, or neither, and stay the same."""
    torch.manual_seed(0)
    calibration = pictures(512, 1)
    image = torch.from_numpy(calibration.inputs["image"])
    module = graph_of(captured(uneven(Tied()), calibration))
    before = module(image)
    separate(module)
    equalize(module, [[(image,)]], ALL)
    torch.testing.assert_close(module(image), before, rtol=1e-4, atol=1e-5)
    uses = [parameter for name, parameter in module.named_parameters() if "shared" in name and parameter.ndim == 2]
    assert len(uses) == 2
    assert torch.equal(*uses)


def test_kinds_are_switched_one_by_one() -> None:
    """Norms alone, layers alone, and both scale different numbers of channels."""
    torch.manual_seed(0)
    calibration = pictures(512, 1)
    program = captured(uneven(Block()), calibration)
    image = torch.from_numpy(calibration.inputs["image"])
    counts = {
        kinds: equalize(graph_of(program), [[(image,)]], frozenset(kinds)) for kinds in ((Kind.NORM,), tuple(Kind))
    }
    assert 0 < counts[(Kind.NORM,)] <= counts[tuple(Kind)]
    assert equalize(graph_of(captured(uneven(Concatenated()), calibration)), [[(image,)]], frozenset({Kind.NORM})) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gain"), [("layers", 5.0), ("gate", 4.0), ("norms", 1.0)])
def test_lopsided_channels_gain(name: str, gain: float) -> None:
    """Small channels with large weights behind them are lost in the steps of the large ones, unless they are scaled."""
    model, key = needy(name)
    calibration, evaluation = pictures(512, 1), pictures(200, 2)
    program = captured(model, calibration)
    reference = run_float(program.source, evaluation).array("logits").astype(np.float64)
    reference -= reference.mean(0)  # what does not depend on the picture is no signal

    def ratio(spec: QuantSpec) -> float:
        found = run_quantized(quantize(program, Scheme.INT8, spec, calibration), evaluation).array("logits")
        value = sqnr_db(reference, found.astype(np.float64) - found.astype(np.float64).mean(0))
        assert value is not None
        return value

    without = PLAIN.model_copy(update={"last_layer": OutermostLayer.FLOAT})
    plain, better = ratio(without), ratio(without.model_copy(update={key: True}))
    assert better > plain + gain


def test_few_values_say_too_little() -> None:
    """The largest of 64 values is chance: with them nothing is scaled, with 4096 of the same kind it is."""
    torch.manual_seed(0)
    program = captured(uneven(Tail()), pictures(64, 1))
    images = torch.from_numpy(pictures(4096, 1).inputs["image"])
    assert equalize(graph_of(program), [[(images[:64],)]], ALL) == 0
    assert equalize(graph_of(program), [[(images,)]], ALL) > 0


def test_nothing_to_equalize_is_fine() -> None:
    """A single layer has nobody to make up for it."""
    calibration = pictures(512, 1)
    module = graph_of(captured(Alone(), calibration))
    assert equalize(module, [[(torch.from_numpy(calibration.inputs["image"]),)]], ALL) == 0


def test_every_combination_of_the_switches_is_a_program() -> None:
    """The steps do not lean on each other."""
    calibration = pictures(512, 1)
    torch.manual_seed(0)
    program = captured(uneven(Excited()), calibration)
    before = {name: tensor.clone() for name, tensor in program.program.state_dict.items()}
    for equalization, smooth in itertools.product([False, True], repeat=2):
        quantize(program, Scheme.INT8, QuantSpec(equalization=equalization, smooth_quant=smooth), calibration)
    assert all(torch.equal(tensor, before[name]) for name, tensor in program.program.state_dict.items())


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_classes_are_what_pairs_connect(data: st.DataObject) -> None:
    """All at once, they are what a search from number to number finds."""
    count = data.draw(st.integers(1, 40))
    number = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=60))
    neighbours: dict[int, set[int]] = {one: set() for one in range(count)}
    for one, other in pairs:
        neighbours[one].add(other)
        neighbours[other].add(one)
    expected = []
    for start in range(count):
        seen, waiting = {start}, [start]
        while waiting:
            fresh = neighbours[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        expected.append(min(seen))
    tensors = [(torch.tensor([one]), torch.tensor([other])) for one, other in pairs]
    assert components(count, tensors).tolist() == expected


class Wide(nn.Module):
    """Many layers of many channels, as large mobile networks have them: 5 million weights, 40,000 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 160, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(160, 960, 1), nn.ReLU(), nn.Conv2d(960, 960, 3, padding=1, groups=960), nn.ReLU(),
                nn.Conv2d(960, 160, 1),
            )
            for _ in range(16)
        )  # fmt: skip
        self.classifier = nn.Conv2d(160, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = self.stem(image)
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.classifier(x).mean((2, 3))
        return logits


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch is asked to compute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation, and compute it."""
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_many_channels_take_no_more_operations() -> None:
    """There is no loop over channels; it took more than a minute."""
    torch.manual_seed(0)
    calibration = pictures(64, 1)
    module = graph_of(captured(uneven(Wide()), calibration))
    with Operations() as operations:
        channels = equalize(module, [[(torch.from_numpy(calibration.inputs["image"]),)]], ALL)
    assert channels > 10_000
    assert operations.count < channels

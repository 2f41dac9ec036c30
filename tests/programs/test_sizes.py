"""Sizes: fixed ones, ranges, what is derived from them, and one program for many samples here and one on the phone."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import edgekit
from edgekit.base.memory import Memory
from edgekit.errors import DataError, SourceError
from edgekit.execution import pte
from edgekit.model.capture import capture
from edgekit.model.narrow import for_device
from edgekit.model.program import Source
from edgekit.model.sizes import other_sizes
from edgekit.model.source import samples_of, source_from_example, source_from_module
from edgekit.model.together import together
from edgekit.spec import Dimension, Preprocessing, Resize, TensorSpec
from tests.programs.networks import Small, Tokens
from tests.sessions import exact_session

X = torch.randn(24, 8, generator=torch.Generator().manual_seed(0))


class Normalised(nn.Module):
    """Divides by the spread of its whole input: right for one sample, another function of two."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        """Return scores."""
        return self.linear((x - x.mean()) / x.std())


class OneAlone(Normalised):
    """Reshapes to the one sample that it expects."""

    def forward(self, x: Tensor) -> Any:
        """Return scores."""
        return self.linear(x.view(1, 8))


class FourAlone(Normalised):
    """Reshapes to the four samples that it expects."""

    def forward(self, x: Tensor) -> Any:
        """Return scores."""
        return self.linear(x.view(2, 2, 8)).view(4, 3)


class Branching(Normalised):
    """Asks how many samples there are."""

    def forward(self, x: Tensor) -> Any:
        """Return scores."""
        return self.linear(x if x.shape[0] == 1 else x * 2)


class Indexed(Normalised):
    """Makes tensors of the number of samples."""

    def forward(self, x: Tensor) -> Any:
        """Return scores, and one number a sample."""
        count = x.shape[0]
        ones = torch.ones(count, 2 * count // count)
        return self.linear(x.reshape(count, -1)) + ones.sum(1, keepdim=True), torch.arange(count) * 0


def one_at_a_time(model: nn.Module) -> Source:
    """Return a source that takes one sample."""
    return source_from_example("net", model, X[:1])


@pytest.mark.parametrize(
    ("model", "many"),
    [(nn.Linear(8, 3), True), (Indexed(), True), (Normalised(), False), (OneAlone(), False), (Branching(), False)],
    ids=["linear", "indexed", "normalised", "one alone", "branching"],
)
def test_samples_are_run_together_where_that_changes_no_answer(model: nn.Module, many: bool) -> None:
    """And the program that is captured takes as many."""
    torch.manual_seed(0)
    source = one_at_a_time(model)
    samples = samples_of(X, source, what="data")
    assert (together(source, samples, Memory()) > 1) is many
    captured = capture(source, samples)
    assert (captured.any_batch, captured.rows > 1) == (many, many)


@pytest.mark.parametrize("make", [Indexed, Small, Tokens], ids=lambda make: make.__name__)
def test_a_program_for_one_sample_computes_what_that_for_many_does(make: type[nn.Module]) -> None:
    """No symbol is left, and every node knows the size that it has."""
    torch.manual_seed(0)
    model = make().eval()
    shape = {"Indexed": (8,), "Small": (1, 8, 8), "Tokens": (6, 8)}[make.__name__]
    data = torch.randn(20, *shape)
    source = source_from_example("net", model, data[:1])
    captured = capture(source, samples_of(data, source, what="data"))
    before = str(captured.program.graph)
    narrowed = for_device(captured.program, captured)
    assert captured.any_batch
    assert str(captured.program.graph) == before
    assert not narrowed.range_constraints
    values = [node.meta["val"] for node in narrowed.graph.nodes if isinstance(node.meta.get("val"), Tensor)]
    assert all(type(size) is int for value in values for size in value.shape)
    assert not any("sym_size" in node.name for node in narrowed.graph.nodes)
    with torch.no_grad():
        found, expected = (program.module()(data[3:4]) for program in (narrowed, captured.program))
    for ours, theirs in zip(*((one,) if isinstance(one, Tensor) else one for one in (found, expected)), strict=True):
        assert torch.equal(ours, theirs)


class Sizes(nn.Module):
    """Has operations whose shape torch works out in C++, unless it is asked for it in Python."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.layer = function, nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, audio: Tensor) -> Tensor:
        """Return (batch, 4, time, 8) of audio (batch, 4, time)."""
        x = self.layer(audio[..., None].expand(-1, -1, -1, 8))
        return self.function(x, audio)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, audio: nn.functional.pad(x, (0, 0, 2, 0)),
        lambda x, audio: nn.functional.interpolate(x[:, :, ::2], (audio.shape[-1], 8), mode="bilinear"),
        lambda x, audio: nn.functional.instance_norm(x),
    ],
    ids=["pad", "resize", "norm"],
)
def test_other_sizes_stay_symbolic_for_one_sample(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Whatever is evaluated for it: a file for one sample then takes every length, as was asked for."""
    shapes, dimensions = {"audio": ("batch", 4, "time")}, {"time": Dimension(min=8, max=64)}
    source = source_from_example("net", Sizes(function), AUDIO[:1], shapes=shapes, dimensions=dimensions)
    captured = capture(source, samples_of(AUDIO, source, what="data"))
    assert captured.any_batch
    for program in (for_device(captured.program, captured), captured.program):
        (taken,) = [node.meta["val"].shape[-1] for node in program.graph.nodes if node.name == "audio"]
        assert taken.node.expr.free_symbols


def test_ranges_of_sizes() -> None:
    """The least is a multiple, the nearest is allowed, and what cannot be is refused."""
    eight = Dimension(min=8, max=64, multiple=8)
    assert [eight.nearest(size) for size in (1, 8, 15, 63, 64, 99)] == [8, 8, 8, 56, 64, 64]
    assert (Dimension(max=64, multiple=16).least, Dimension(max=9).least) == (16, 1)
    assert eight.from_least(17).least == 24
    for wrong in ({"min": 9, "max": 8}, {"max": 0}, {"min": 4, "max": 8, "multiple": 8}, {"max": 9, "multiple": 2}):
        with pytest.raises(ValidationError):
            Dimension(**wrong)


@pytest.mark.parametrize("sizes", [{"a": 8, "b": 8}, {"a": 1, "b": 64}, {"a": 64, "b": 64, "c": 64}, {"a": 2, "b": 1}])
def test_other_sizes_are_told_apart(sizes: dict[str, int]) -> None:
    """No two dimensions of one size get the same other size."""
    found = other_sizes(sizes, dict.fromkeys(sizes, Dimension(max=64)))
    pairs = [(sizes[name], size) for name, size in found.items()]
    assert len(set(pairs)) == len(pairs)
    assert all(before != after and 1 <= after <= 64 for before, after in pairs)


class Halves(nn.Module):
    """Halves the time and keeps the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 8, 3, stride=2, padding=1), nn.Conv1d(8, 5, 1)

    def forward(self, audio: Tensor) -> Tensor:
        """Return features (batch, time / 2, 5) of audio (batch, 4, time)."""
        found: Tensor = self.second(torch.relu(self.first(audio))).transpose(1, 2)
        return found


AUDIO = torch.randn(24, 4, 32, generator=torch.Generator().manual_seed(1))


def test_sizes_of_outputs_are_derived() -> None:
    """From an example, by trying; in a project, a name that no input has is taken as it comes."""
    shapes, dimensions = {"audio": ("batch", 4, "time")}, {"time": Dimension(max=64)}
    source = source_from_example("net", Halves(), AUDIO[:1], shapes=shapes, dimensions=dimensions)
    assert source.outputs[0].shape == (1, "output_1", 5)
    inputs = (TensorSpec(name="audio", shape=("batch", 4, "time")),)
    outputs = (TensorSpec(name="features", shape=("batch", "frames", 5)),)
    declared = source_from_module("net", Halves(), inputs, outputs, {"batch": 1, **dimensions})
    assert declared.outputs[0].shape == (1, "frames", 5)
    wrong = (TensorSpec(name="features", shape=("batch", "time", 5)),)
    with pytest.raises(SourceError, match="declared float32"):
        source_from_module("net", Halves(), inputs, wrong, {"batch": 1, **dimensions})


def test_the_least_size_is_found_and_told() -> None:
    """Half of a size must not be one; a least size that was asked for is not changed."""
    source = source_from_example(
        "net", Halves(), AUDIO[:1], shapes={"audio": ("batch", 4, "time")}, dimensions={"time": 64}
    )
    captured = capture(source, samples_of(AUDIO, source, what="data"))
    assert captured.source.dimensions["time"].least == 5
    assert captured.source.notes == ("time is 5 at least: torch.export takes no smaller ones of this model.",)


def test_data_outside_of_a_range_is_refused() -> None:
    """Before anything is captured."""
    source = source_from_example(
        "net", Halves(), AUDIO[:1], shapes={"audio": ("batch", 4, "time")},
        dimensions={"time": Dimension(min=16, max=48, multiple=16)},
    )  # fmt: skip
    samples_of(AUDIO, source, what="data")
    with pytest.raises(DataError, match="a time of 24; it may be 16 to 48 in steps of 16"):
        samples_of(AUDIO[:, :, :24], source, what="data")


CASES: dict[str, tuple[Any, Tensor, dict[str, Any], tuple[tuple[int, ...], ...]]] = {
    "one sample": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)),
                   torch.randn(24, 3, 8, 8), {}, ((1, 3, 8, 8),)),
    "four samples": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), torch.randn(23, 3, 8, 8),
                     {"shapes": {"input": (4, 3, 8, 8)}}, ((4, 3, 8, 8),)),
    "four and no other": (FourAlone, X[:23], {"shapes": {"x": (4, 8)}}, ((4, 8),)),
    "any of eight": (lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU()), X, {"max_batch": 8}, ((1, 8), (8, 8), (3, 8))),
    "derived": (Halves, AUDIO, {"shapes": {"audio": ("batch", 4, "time")}, "dimensions": {"time": 64}},
                ((1, 4, 32), (1, 4, 64), (1, 4, 7))),
    "multiples": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 2, 2)),
                  torch.randn(24, 3, 16, 16),
                  {"shapes": {"input": ("batch", 3, "height", "width")},
                   "dimensions": {name: {"min": 8, "max": 32, "multiple": 8} for name in ("height", "width")}},
                  ((1, 3, 16, 16), (1, 3, 32, 8), (1, 3, 8, 24))),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_both_formats_take_the_sizes(case: str, tmp_path: Path) -> None:
    """At each allowed size both files give what the model does, and the .onnx has the project's names."""
    make, data, options, tried = CASES[case]
    torch.manual_seed(0)
    model = make().eval()
    result = edgekit.build(
        model, data[:1], target="android-arm64", calibration=data, evaluation=data, output=tmp_path, cache=False,
        labels=(), **options,
    )  # fmt: skip
    (bundle,) = result.bundles
    manifest = bundle.manifest
    session = exact_session(bundle.folder / "model.onnx")
    loaded = pte.load(bundle.folder / "model.pte")
    assert list(session.get_inputs()[0].shape) == list(manifest.inputs[0].shape)
    assert list(session.get_outputs()[0].shape) == list(manifest.outputs[0].shape)
    for shape in tried:
        given = torch.randn(shape)
        with torch.no_grad():
            expected = model(given).numpy()
        found = [np.asarray(session.run(None, {manifest.inputs[0].name: given.numpy()})[0])]
        found.append(loaded.method.execute([given])[0].numpy())
        for values in found:
            assert values.shape == expected.shape
            assert np.square(values - expected).sum() < 0.02 * np.square(expected).sum()
    planned = {str(info.format): info.planned_bytes for info in manifest.artifacts}
    assert planned["onnx"] is None
    assert planned["pte"] is not None
    assert set(manifest.ranges) == set(manifest.dimensions)


@pytest.mark.slow
def test_an_onnx_says_what_it_is(tmp_path: Path) -> None:
    """Labels, preprocessing and ranges stand in the file as JSON, for readers that have it alone."""
    steps = Preprocessing(resize=Resize(height=8, width=8), color="rgb")
    data = torch.randn(24, 3, 8, 8)
    result = edgekit.build(
        nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), data[:2], target="android-arm64", calibration=data,
        output=tmp_path, cache=False, labels=["ä", "b", "c"], preprocessing=steps, formats=["onnx"], max_batch=16,
    )  # fmt: skip
    file = onnx.load(result.bundles[0].folder / "model.onnx")
    said: Mapping[str, Any] = {one.key: json.loads(one.value) for one in file.metadata_props}
    assert said["edgekit.labels"] == ["ä", "b", "c"]
    assert Preprocessing.model_validate_json(json.dumps(said["edgekit.preprocessing"])) == steps
    assert said["edgekit.dimensions"] == {"batch": {"min": 1, "max": 16, "multiple": 1}}

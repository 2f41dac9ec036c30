"""Weights as people save them: which part of a file fits the model, and what is said where none does."""

import argparse
import json
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekit.errors import SourceError
from edgekit.model.source import load_model
from edgekit.model.weights.checkpoint import Checkpoint, read_checkpoint
from edgekit.spec import project
from edgekit.spec.project import OpenProject

NET = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
    def forward(self, x):
        return torch.relu(self.norm(self.linear(x)))

class Net(nn.Module):
    def __init__(self, hidden=30, depth=2, classes=4, scale=1.0):
        super().__init__()
        self.first = nn.Linear(3, hidden)
        self.blocks = nn.ModuleList(Block(hidden) for _ in range(depth))
        self.wide = nn.Linear(hidden, 3 * hidden)
        self.head = nn.Linear(3 * hidden, classes)
        self.scale = scale
        self.register_buffer("mask", torch.ones(3), persistent=False)
    def forward(self, x):
        x = self.first(x * self.mask) * self.scale
        for block in self.blocks:
            x = block(x)
        return self.head(self.wide(x))
"""
NAMES: dict[str, Any] = {}
exec(NET, NAMES)  # noqa: S102 - the network above
Net: Callable[..., nn.Module] = NAMES["Net"]
State = dict[str, Tensor]


def net(**arguments: Any) -> nn.Module:
    """Return a network that was trained a little: no two of its numbers are the same."""
    torch.manual_seed(0)
    made = Net(**arguments)
    made.train()
    made(torch.randn(16, 3))
    return made.eval()


def opened(folder: Path, weights: str, *, model: str = "", labels: str = "") -> OpenProject:
    """Return a project around weights that are there."""
    (folder / "net.py").write_text(NET)
    (folder / "data.npz").write_bytes(b"")
    (folder / "edgekit.toml").write_text(
        f"""
        {labels}
        inputs = [{{ name = "x", shape = ["batch", 3] }}]
        outputs = [{{ name = "y", shape = ["batch", 4], meaning = "logits" }}]
        data = {{ calibration = "data.npz", evaluation = "data.npz" }}
        [model]
        name = "net"
        source = "net.py:Net"
        weights = "{weights}"
        {model}
        """
    )
    return project.load(folder)


def refused(folder: Path, weights: str, *, model: str = "") -> SourceError:
    """Return the error that weights end in."""
    with pytest.raises(SourceError) as caught:
        load_model(opened(folder, weights, model=model))
    assert caught.value.hint
    return caught.value


def same(model: nn.Module, state: State) -> bool:
    """Whether a model has a state."""
    own = model.state_dict()
    return set(own) == set(state) and all(torch.equal(own[name], state[name]) for name in own)


def wrapped(prefix: str) -> Callable[[State], State]:
    """Return what puts a prefix before all names."""
    return lambda state: {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("name", ["w.pt", "w.PTH", "w.bin", "w.ckpt", "w", "w.safetensors", "w.SafeTensors"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_under_any_name(tmp_path: Path, name: str, legacy: bool) -> None:
    """Of either format of torch, and of safetensors; what was read is what torch reads."""
    state = net().state_dict()
    if "safe" in name.lower():
        save_file(state, tmp_path / name)
    else:
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    source = load_model(opened(tmp_path, name))
    assert same(source.model, state)
    assert source.notes == ()


@pytest.mark.parametrize(
    "change",
    [
        wrapped("module."),
        wrapped("_orig_mod."),
        wrapped("model."),
        wrapped("backbone.net."),
        wrapped("module._orig_mod."),
        lambda state: {name.replace("blocks.0.", "blocks.0._orig_mod."): value for name, value in state.items()},
    ],
)
def test_a_prefix_is_stripped_with_a_note(tmp_path: Path, change: Callable[[State], State]) -> None:
    """Whatever wrapper left it."""
    state = net().state_dict()
    torch.save(change(state), tmp_path / "w.pth")
    source = load_model(opened(tmp_path, "w.pth"))
    assert same(source.model, state)
    assert "strip" in source.notes[0] or "wrappers" in source.notes[0]


def test_a_prefix_is_put_before_with_a_note(tmp_path: Path) -> None:
    """Where the model has one more than the file."""
    state = net().state_dict()
    torch.save({name.removeprefix("blocks."): value for name, value in state.items() if name.startswith("blocks.")},
               tmp_path / "w.pth")  # fmt: skip
    place = opened(tmp_path, "w.pth")
    (tmp_path / "net.py").write_text(NET.replace("class Net(", "class Inner(") + BLOCKS)
    source = load_model(place)
    assert torch.equal(source.model.state_dict()["blocks.1.linear.weight"], state["blocks.1.linear.weight"])
    assert "blocks. was put before" in source.notes[0]


BLOCKS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(30), Block(30))
        self.pad = nn.ZeroPad1d((0, 27))
    def forward(self, x):
        return self.blocks(self.pad(x))[:, :4]
"""


def test_what_other_parts_hold_is_left_out_with_a_note(tmp_path: Path) -> None:
    """Lightning stores the loss's weights beside the model's."""
    state = net().state_dict()
    torch.save({**wrapped("model.")(state), "criterion.weight": torch.ones(4)}, tmp_path / "w.pth")
    source = load_model(opened(tmp_path, "w.pth"))
    assert same(source.model, state)
    assert any("outside of model.: criterion" in note for note in source.notes)


TRAINED: dict[str, Callable[[State], dict[str, Any]]] = {
    "model_state_dict": lambda state: {"model_state_dict": state, "epoch": 3, "loss": 0.25},
    "state_dict": lambda state: {"state_dict": state, "arch": "net", "best_acc1": torch.tensor(91.0)},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1), "rng_state": torch.get_rng_state()},
    "net": lambda state: {"net": state, "acc": 91.5, "ema": None},
    "model_ema": lambda state: {"model_ema": state, "scaler": {"scale": torch.ones(1)}},
    "checkpoint.model": lambda state: {"checkpoint": {"model": state, "step": 7}},
    "weights.best": lambda state: {"weights": OrderedDict(best=state), "mean": torch.rand(3), "std": torch.rand(3)},
}  # fmt: skip


@pytest.mark.parametrize("key", TRAINED)
@pytest.mark.parametrize("legacy", [False, True])
def test_the_models_part_of_a_checkpoint_is_found(tmp_path: Path, key: str, legacy: bool) -> None:
    """Beside an optimizer, whose tensors are named as no state."""
    trained = net()
    optimizer = torch.optim.AdamW(trained.parameters())
    trained(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = trained.state_dict()
    whole = {**TRAINED[key](state), "optimizer": optimizer.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    torch.save(whole, tmp_path / "last.ckpt", _use_new_zipfile_serialization=not legacy)
    source = load_model(opened(tmp_path, "last.ckpt"))
    assert same(source.model, state)
    assert any(f"those under {key}" in note for note in source.notes)


def test_of_several_that_fit_a_person_chooses(tmp_path: Path) -> None:
    """The error names the keys; a wrong key is told with the nearest."""
    state, ema = net().state_dict(), {name: value * 2 for name, value in net().state_dict().items()}
    torch.save({"model": state, "ema": {"module": wrapped("module.")(ema)}, "epoch": 3}, tmp_path / "w.pth")
    error = refused(tmp_path, "w.pth")
    assert "2 state dicts that fit the model: model, ema.module" in error.message
    assert 'weights_key = "model"' in error.hint
    assert same(load_model(opened(tmp_path, "w.pth", model='weights_key = "ema.module"')).model, ema)
    assert (
        "no state dict ema.modul; did you mean ema.module?"
        in refused(tmp_path, "w.pth", model='weights_key = "ema.modul"').message
    )


def test_of_several_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    """A discriminator beside the generator."""
    state = net().state_dict()
    torch.save({"generator": state, "discriminator": nn.Linear(4, 1).state_dict()}, tmp_path / "w.pth")
    assert same(load_model(opened(tmp_path, "w.pth")).model, state)


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        ({"hidden": 20}, "hidden = 20"),
        ({"classes": 7}, "classes = 7"),
        ({"depth": 4}, "depth = 4"),
        ({"hidden": 12, "classes": 9}, "classes = 9, hidden = 12"),
    ],
)
def test_a_changed_argument_is_guessed(tmp_path: Path, trained: dict[str, int], expected: str) -> None:
    """By making the model with it: what is said fits."""
    torch.save(net(**trained).state_dict(), tmp_path / "w.pth")
    error = refused(tmp_path, "w.pth")
    assert f"The model fits that Net makes with {expected}." in error.message
    (line,) = re.findall(r"arguments = \{.*?\}", error.hint)
    if "classes" not in trained:
        load_model(opened(tmp_path, "w.pth", model=line))


def test_arguments_that_stand_in_the_project_are_guessed_too(tmp_path: Path) -> None:
    """And the others stay in what is suggested."""
    torch.save(net(hidden=20, scale=2.0).state_dict(), tmp_path / "w.pth")
    error = refused(tmp_path, "w.pth", model="arguments = { hidden = 30, scale = 2.0 }")
    assert "arguments = { hidden = 20, scale = 2.0 }" in error.hint


def test_no_argument_is_guessed_that_does_not_fit(tmp_path: Path) -> None:
    """A first layer of another width is no argument of this network."""
    state = {**net(hidden=20).state_dict(), "first.weight": torch.randn(20, 5)}
    torch.save(state, tmp_path / "w.pth")
    error = refused(tmp_path, "w.pth")
    assert "The model fits" not in error.message
    assert "first: weight is (20, 5), the model has (30, 3); bias is (20,), the model has (30,)" in error.message


def test_another_architecture_is_told_by_module(tmp_path: Path) -> None:
    """Missing and unexpected parameters, some of them."""
    torch.save({f"layers.{n}.weight": torch.rand(2, 2) for n in range(200)}, tmp_path / "w.pth")
    error = refused(tmp_path, "w.pth")
    assert "first: missing weight, bias" in error.message
    assert len(error.message.splitlines()) < 20


@pytest.mark.parametrize("place", ["hyper_parameters", "config", "args"])
def test_the_configuration_feeds_the_callable(tmp_path: Path, place: str) -> None:
    """Only what it takes, only where the project is silent."""
    config: Any = {"hidden": 20, "lr": 0.1, "scale": 3.0, "classes": "many", "data": {"path": "/x"}}
    config = argparse.Namespace(**config) if place == "args" else config
    torch.save({"state_dict": net(hidden=20).state_dict(), place: config}, tmp_path / "w.ckpt")
    source = load_model(opened(tmp_path, "w.ckpt", model="arguments = { scale = 2.0 }"))
    assert source.model.scale == 2.0
    assert "w.ckpt says how the model was made: hidden = 20." in source.notes


def test_a_configuration_of_something_else_is_left(tmp_path: Path) -> None:
    """The model fits without it."""
    torch.save({"state_dict": net().state_dict(), "config": {"hidden": 7}}, tmp_path / "w.ckpt")
    source = load_model(opened(tmp_path, "w.ckpt"))
    assert source.parameters == sum(parameter.numel() for parameter in net().parameters())
    assert not any("how the model was made" in note for note in source.notes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", ["cat", "dog", "eel", "fox"]),
        ("class_to_idx", {"fox": 3, "cat": 0, "dog": 1, "eel": 2}),
        ("idx_to_class", {0: "cat", 1: "dog", 2: "eel", 3: "fox"}),
        ("id2label", {"0": "cat", "1": "dog", "2": "eel", "3": "fox"}),
        ("meta", {"classes": ("cat", "dog", "eel", "fox")}),
    ],
)
@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda v: torch.tensor(v).view(3, 1, 1)])
def test_an_inference_package(tmp_path: Path, key: str, value: Any, kind: Callable[[list[float]], Any]) -> None:
    """Labels in any form, mean and std as numbers, arrays or tensors, accuracy; labels reach the source."""
    state = net().state_dict()
    package = {
        "state_dict": state,
        "normalization": {"mean": kind([0.5, 0.25, 0.125]), "std": kind([0.5, 0.25, 0.25])},
        key: value,
        "val_acc": np.float64(0.75),
        "best_top1": torch.tensor(91.5),
    }
    torch.save(package, tmp_path / "w.pth")
    found = read_checkpoint(tmp_path / "w.pth", "state_dict")
    assert found.labels == ("cat", "dog", "eel", "fox")
    assert (found.mean, found.std) == ((0.5, 0.25, 0.125), (0.5, 0.25, 0.25))
    assert found.metrics == {"val_acc": 0.75, "best_top1": 91.5}
    source = load_model(opened(tmp_path, "w.pth"))
    assert source.labels == ("cat", "dog", "eel", "fox")


def test_labels_that_differ_from_the_projects(tmp_path: Path) -> None:
    """The project's are taken, and a note says so."""
    torch.save({"model": net().state_dict(), "classes": ["cat", "dog", "eel", "fox"]}, tmp_path / "w.pth")
    source = load_model(opened(tmp_path, "w.pth", labels='labels = ["a", "b", "c", "d"]'))
    assert source.labels == ("a", "b", "c", "d")
    assert any("cat" in note and "labels" in note for note in source.notes)


def sharded(folder: Path, state: State, kind: str) -> str:
    """Write a state into two files with an index."""
    names = list(state)
    parts = {"a": names[::2], "b": names[1::2]}
    for part, keys in parts.items():
        chosen = {name: state[name] for name in keys}
        if kind == "safetensors":
            save_file(chosen, folder / f"model-{part}.safetensors")
        else:
            torch.save(chosen, folder / f"model-{part}.bin")
    mapping = {name: f"model-{part}.{kind}" for part, keys in parts.items() for name in keys}
    index = f"model.{kind}.index.json"
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": mapping}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_weights_in_several_files(tmp_path: Path, kind: str) -> None:
    """Through their index; one that is missing or cut off is named."""
    state = net().state_dict()
    index = sharded(tmp_path, state, kind)
    assert same(load_model(opened(tmp_path, index)).model, state)
    part = tmp_path / f"model-b.{kind}"
    whole = part.read_bytes()
    part.write_bytes(whole[:-9])
    assert str(part) in refused(tmp_path, index).message or "cut off" in refused(tmp_path, index).message
    part.unlink()
    assert f"model-b.{kind}, which is not beside it" in refused(tmp_path, index).message


@pytest.mark.parametrize("name", ["../w.safetensors", "/etc/passwd", "..", "", "a/b", "a\0"])
def test_an_index_does_not_leave_its_folder(tmp_path: Path, name: str) -> None:
    """Whatever it names."""
    save_file(net().state_dict(), tmp_path.parent / "w.safetensors")
    (tmp_path / "m.index.json").write_text(json.dumps({"weight_map": {"first.weight": name}}))
    assert "no file beside it" in refused(tmp_path, "m.index.json").message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted_with_a_note(tmp_path: Path, dtype: torch.dtype) -> None:
    """Mixed with integers, which stay."""
    state = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in net().state_dict().items()
    }
    torch.save(state, tmp_path / "w.pth")
    source = load_model(opened(tmp_path, "w.pth"))
    assert torch.equal(source.model.state_dict()["head.bias"], state["head.bias"].float())
    assert any("converted from" in note for note in source.notes)


def broken(**changes: Callable[[Tensor], Tensor]) -> State:
    """Return a state with some tensors changed; ``_`` in a name stands for a dot."""
    state = dict(net().state_dict())
    for name, change in changes.items():
        state[name.replace("_", ".")] = change(state[name.replace("_", ".")])
    return state


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (broken(head_weight=lambda t: (t * 100).to(torch.int8)), "head.weight: int8 in the file, float32 in the model"),
        (broken(head_bias=lambda t: t.long()), "head.bias: int64 in the file"),
        (broken(head_weight=lambda t: t.to(torch.complex64)), "complex64 in the file"),
        (broken(head_weight=lambda t: t.to(torch.float8_e4m3fn)), "head.weight of float8_e4m3fn"),
        (broken(head_weight=lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)), "is quantized: head.weight"),
        (broken(head_weight=lambda t: t * float("nan")), "not finite: head.weight"),
        (broken(head_bias=lambda t: t / 0), "not finite: head.bias"),
    ],
)  # fmt: skip
def test_numbers_that_are_no_weights_are_refused(tmp_path: Path, state: State, expected: str) -> None:
    """Quantized, complex, integers, and values that are not finite."""
    torch.save(state, tmp_path / "w.pth")
    assert expected in refused(tmp_path, "w.pth").message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda state: {name: torch.zeros_like(value) for name, value in state.items()},
            "All weights are zero",
        ),
        (lambda state: {**state, "head.weight": state["head.weight"] * 0}, "all zero: head.weight"),
        (lambda state: {**state, "head.weight": state["head.weight"] * 0 + 2}, "all one number: head.weight"),
        (lambda state: {**state, "mask": torch.ones(3)}, "no part of the model's state and were left out: mask"),
        (lambda state: {**state, "total_ops": torch.ones(1), "head.total_ops": torch.ones(1)}, "total_ops"),
        (lambda state: {**state, "epoch": 3}, "holds epoch beside the weights"),
        (lambda state: {name: one for name, one in state.items() if "tracked" not in name}, ""),
        (
            lambda state: {name: nn.Parameter(one) if one.is_floating_point() else one for name, one in state.items()},
            "",
        ),
        (lambda state: {name: one.t().contiguous().t() if one.ndim == 2 else one for name, one in state.items()}, ""),
    ],
)
def test_what_is_taken_with_a_note(tmp_path: Path, change: Callable[[State], dict[str, Any]], expected: str) -> None:
    """Zeros, constants, buffers that are not stored, leavings of a profiler, an old batch norm, parameters, views."""
    torch.save(change(net().state_dict()), tmp_path / "w.pth")
    notes = load_model(opened(tmp_path, "w.pth")).notes
    assert (expected in " ".join(notes)) if expected else notes == ()


def test_tensors_of_other_devices_and_views_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    """The device is a word in the file; views share what they are views of."""
    base = torch.arange(24.0)
    state = {
        "a": base[3:9].view(2, 3), "b": base[::2], "c": base[1:13].view(3, 4).t(), "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3), "half": torch.ones(3, dtype=torch.bfloat16), "flags": torch.tensor([True, False]),
        "u16": torch.arange(3).to(torch.uint16),
    }  # fmt: skip
    torch.save(state, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as archive, zipfile.ZipFile(tmp_path / "cuda.pth", "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    with pytest.raises(RuntimeError):
        torch.load(tmp_path / "cuda.pth", weights_only=True)
    for name in ("w.pth", "cuda.pth"):
        found = read_checkpoint(tmp_path / name).state.load()
        assert set(found) == set(state)
        assert all(torch.equal(found[key], state[key]) and found[key].dtype == state[key].dtype for key in state)


def test_two_tensors_for_one_are_refused(tmp_path: Path) -> None:
    """A tie that the training did not have."""
    torch.save({"a.weight": torch.eye(3), "b.weight": torch.ones(3, 3)}, tmp_path / "w.pth")
    place = opened(tmp_path, "w.pth")
    (tmp_path / "net.py").write_text(TIED)
    with pytest.raises(SourceError, match=r"a\.weight and b\.weight are one tensor in the model and two"):
        load_model(place)
    torch.save({"a.weight": torch.eye(3) * 2}, tmp_path / "w.pth")
    assert torch.equal(load_model(place).model.state_dict()["b.weight"], torch.eye(3) * 2)


TIED = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
    def forward(self, x):
        return torch.nn.functional.pad(self.b(self.a(x)), (0, 1))
"""


def test_a_program_is_no_state_dict(tmp_path: Path) -> None:
    """It goes without the Python file."""
    exported = torch.export.export(nn.Linear(3, 4), (torch.zeros(1, 3),))
    torch.export.save(exported, tmp_path / "net.pt2")
    error = refused(tmp_path, "net.pt2")
    assert "a .pt2 archive of torch.export" in error.message
    assert "leave model.source out" in error.hint


def test_a_checkpoint_says_which_of_its_states(tmp_path: Path) -> None:
    """Where it has one it is the state, where it has several that is an error with the keys."""
    torch.save({"model": net().state_dict()}, tmp_path / "one.pth")
    found: Checkpoint = read_checkpoint(tmp_path / "one.pth")
    assert found.key == "model"
    assert found.state.tensors["head.bias"].shape == (4,)
    torch.save({"model": net().state_dict(), "ema": net().state_dict()}, tmp_path / "two.pth")
    with pytest.raises(SourceError, match="several state dicts: model, ema"):
        _ = read_checkpoint(tmp_path / "two.pth").state

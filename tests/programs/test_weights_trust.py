"""Whole pickled models: refused with what they would run, and taken apart in a process of their own where trusted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekit.base.progress import Silent
from edgekit.cli.named import guessed
from edgekit.errors import ProjectError, SourceError
from edgekit.model import programs
from edgekit.model.source import load_model
from edgekit.model.weights.trust import Example, plain_program, trusted
from edgekit.spec.asked import asked
from tests.programs.test_weights import NET, opened, refused

# Writes files as a training script does, whose classes are in a file beside it or in the script itself.
SCRIPT = """
import sys, torch
sys.path.insert(0, '.')
import net as beside
class Evil:
    def __init__(self, code):
        self.code = code
    def __reduce__(self):
        return exec, (self.code,)
SEES = '''
import os, socket
try:
    reached = socket.create_connection(("127.0.0.1", 9), 1)
except OSError as error:
    reached = error.errno
with open({seen!r}, "w") as file:
    file.write(f"{{os.getpid()}} {{'HF_TOKEN' in os.environ}} {{reached}}")
'''
torch.manual_seed(0)
net = beside.Net(hidden=8)
own = Net(hidden=8)
own.load_state_dict(net.state_dict())
torch.save(net, "whole.pth")
torch.save(own, "main.pth")
torch.save(dict(model=net, epoch=3), "old.pth", _use_new_zipfile_serialization=False)
torch.save(dict(model=net, ema=own), "two.pth")
torch.save(net.state_dict(), "plain.pth")
import pickle
pickle.dump(net.state_dict(), open("plain.pkl", "wb"))
pickle.dump(dict(weights=dict((name, one.numpy()) for name, one in net.state_dict().items()), epoch=3),
            open("arrays.pkl", "wb"))
torch.save(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Sigmoid()), "own.pth")
for name, code in dict(sees=SEES, raises="raise KeyError('x')", exits="import sys; sys.exit(0)",
                       aborts="import os; os.abort()", swells="bytearray(2**40)").items():
    torch.save(dict(state_dict=net.state_dict(), x=Evil(code)), name + ".pth")
"""
MODEL = "arguments = { hidden = 8 }"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pickles, written by another process: this one never has their classes."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "net.py").write_text(NET)
    script = NET + SCRIPT.format(seen=str(folder / "seen"))
    subprocess.run([sys.executable, "-c", script], check=True, cwd=folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(written, tmp_path / "project"))


@pytest.mark.parametrize(
    ("name", "kind"), [("whole.pth", "net.Net"), ("main.pth", "__main__.Net"), ("old.pth", "net.Net")]
)
def test_a_whole_model_is_refused_then_converted(folder: Path, name: str, kind: str) -> None:
    """With what it would run and two ways out; its class comes from a module or from a script."""
    error = refused(folder, name)
    assert "a whole pickled model" in error.message
    assert kind in error.message
    assert "state_dict()" in error.hint
    assert "--trust-pickle" in error.hint
    (folder / f"{name}.pt2").touch()  # so that no program is made of each
    project = trusted(opened(folder, name, model=MODEL))
    assert project.weights == folder / f"{name}.safetensors"
    source = load_model(project)
    expected = torch.load(folder / "plain.pth")
    assert all(torch.equal(value, expected[key]) for key, value in source.model.state_dict().items())
    assert any(f"unpickled from {name} ({kind})" in note and "network" in note for note in source.notes)
    assert "net" not in sys.modules
    before = project.weights.stat().st_mtime_ns
    assert trusted(opened(folder, name)).weights.stat().st_mtime_ns == before, "taken again as it is"


def test_weights_that_need_no_trust_stay(folder: Path) -> None:
    """Nothing is run of them."""
    assert trusted(opened(folder, "plain.pth")).weights == folder / "plain.pth"
    (folder / "page.pth").write_text("<html></html>")
    with pytest.raises(SourceError, match="an HTML page"):
        trusted(opened(folder, "page.pth"))


def test_what_is_run_has_neither_network_nor_secrets(
    written: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what it sees in a file; the build's process never runs it."""
    monkeypatch.setenv("HF_TOKEN", "hidden")
    assert "would call __builtin__.exec" in refused(folder, "sees.pth").message
    assert not (written / "seen").exists()
    source = load_model(trusted(opened(folder, "sees.pth", model=MODEL)))
    number, secrets, reached = (written / "seen").read_text().split()
    assert int(number) != os.getpid()
    assert secrets == str(False)
    without = any("without network" in note for note in source.notes)
    assert (int(reached) == 101) is without  # ENETUNREACH: not even the machine itself is there


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raises.pth", "cannot be unpickled: KeyError"),
        ("exits.pth", "cannot be unpickled: SystemExit"),
        ("aborts.pth", "crashes"),
        ("swells.pth", "MemoryError"),
    ],
)
def test_what_fails_is_an_error(folder: Path, name: str, expected: str) -> None:
    """Of the build's own, whatever the file does to its process."""
    with pytest.raises(SourceError, match=expected):
        trusted(opened(folder, name))
    assert not list(folder.glob("*safetensors*"))
    assert not list(folder.glob(".*"))


def test_a_file_of_somebody_is_not_replaced(folder: Path) -> None:
    """The one that would have the name of what is taken out."""
    (folder / "whole.pth.safetensors").write_bytes(b"mine")
    with pytest.raises(SourceError, match="is in the way"):
        trusted(opened(folder, "whole.pth"))


def test_of_several_models_one_is_chosen(folder: Path) -> None:
    """By the key that chooses in a checkpoint, too."""
    (folder / "two.pth.pt2").touch()  # so that no program is made
    with pytest.raises(SourceError, match="it holds several: model, ema"):
        trusted(opened(folder, "two.pth"))
    load_model(trusted(opened(folder, "two.pth", model=f'weights_key = "model"\n{MODEL}')))


@pytest.mark.parametrize("name", ["plain.pkl", "arrays.pkl"])
def test_a_pickle_that_torch_did_not_write(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors or NumPy's arrays: named on the command line it is refused, and taken where it is trusted."""
    monkeypatch.chdir(folder)
    named: dict[str, Any] = {"model": "net.py:Net", "weights": Path(name), "arguments": ("hidden=8",)}
    with pytest.raises(ProjectError, match=r"a pickle that torch\.save did not write") as caught:
        asked(**named)
    assert "--trust-pickle" in caught.value.message
    found = guessed(asked(**named, trust_pickle=True), folder, Silent(), trust_pickle=True)
    assert found.project.weights == folder / f"{name}.safetensors"
    expected = torch.load(folder / "plain.pth")
    state = load_model(found.project).model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in state.items())


def test_a_whole_model_becomes_a_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its weights; it needs no Python file, computes the same, and is made once for one pickle."""
    trusted(opened(folder, "whole.pth", model=MODEL))
    program = folder / "whole.pth.pt2"
    found = programs.of_object(program)
    assert found is not None
    model = load_model(opened(folder, "plain.pth", model=MODEL)).model
    x = torch.rand(5, 3)
    with torch.no_grad():
        torch.testing.assert_close(found.module(x), model(x))
    monkeypatch.chdir(folder)
    with pytest.raises(ProjectError, match="holds no network"):
        asked(None, Path("own.pth"))
    for _ in range(2):
        made = guessed(asked(None, Path("own.pth"), trust_pickle=True), folder, Silent(), trust_pickle=True)
        assert made.project.weights == folder / "own.pth.pt2"
        assert made.project.spec.inputs[0].shape == ("batch", 3)
    assert (folder / "own.pth.safetensors").exists()


def test_what_is_no_whole_model_is_no_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights need a network; nothing of somebody is replaced."""
    monkeypatch.chdir(folder)
    example = Example()
    with pytest.raises(SourceError, match="weights alone") as caught:
        plain_program(Path("plain.pkl"), None, folder, example)
    assert "--model" in caught.value.hint
    (folder / "own.pth.pt2").write_bytes(b"mine")
    with pytest.raises(SourceError, match="is in the way"):
        plain_program(Path("own.pth"), None, folder, example)
    assert (folder / "own.pth.pt2").read_bytes() == b"mine"

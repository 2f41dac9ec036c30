"""Weights on the command line: what is no weights is told before torch is imported, and what is is built."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgekit import bundles
from edgekit.spec import scaffold
from tests.e2e.conftest import edgekit
from tests.programs import hostile

TARGET = "linux-x86_64"
# Builds with each of the files and says with what code it ended, and whether torch was there then.
RUN = """
import json, sys
from pathlib import Path
from edgekit.cli import main
toml = Path("edgekit.toml").read_text()
for name in json.loads(sys.argv[1]):
    Path("edgekit.toml").write_text(toml.replace("weights.safetensors", name))
    try:
        main(["build", "--target", "android-arm64"])
    except SystemExit as done:
        print(json.dumps([name, done.code, "torch" in sys.modules]))
"""
MATTER = {
    "page.pth": (b"<!doctype html><html>", "an HTML page"),
    "pointer.PT": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "a git-lfs pointer"),
    "empty.ckpt": (b"", "is empty"),
    "keras.bin": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
    "evil.pth": (hostile.packed(b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00idtR."), "would call os.system"),
    "bomb.pth": (hostile.packed(b"N" * 2**22, 8), "unpack to"),
    "header.safetensors": (hostile.safetensors(b"{", 2**40), "cut off"),
}


def test_what_is_no_weights_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    """With exit code 5, or 3 where the project's own check knows it already."""
    scaffold.init(tmp_path / "project")
    for name, (content, _) in MATTER.items():
        (tmp_path / "project" / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(list(MATTER))], cwd=tmp_path / "project", capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(told) == len(MATTER)
    assert {code for _, code, _ in told} <= {3, 5}
    assert not [name for name, _, torch_is_there in told if torch_is_there]
    said = " ".join(done.stderr.split())
    assert not [words for _, words in MATTER.values() if words not in said], done.stderr


@pytest.mark.slow
def test_a_training_checkpoint_is_built(tmp_path: Path) -> None:
    """Of a model in DataParallel, beside its optimizer; the bundle says what was done to its names."""
    folder = tmp_path / "project"
    scaffold.init(folder)
    state = load_file(folder / "weights.safetensors")
    steps = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 3, "model_state_dict": wrapped, "optimizer": steps.state_dict()}, folder / "last.ckpt")
    toml = folder / "edgekit.toml"
    toml.write_text(toml.read_text().replace("weights.safetensors", "last.ckpt"))
    finished = edgekit("build", "--target", TARGET, "--format", "pte", "--no-cache", cwd=folder)
    assert finished.code == 0, finished.err
    notes = bundles.read(folder / "artifacts" / "digits" / TARGET).drift.notes
    assert any("module. was stripped" in note for note in notes)
    assert any("those under model_state_dict" in note for note in notes)


NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(3, 2))
"""


@pytest.mark.slow
def test_a_whole_model_is_refused_then_trusted(tmp_path: Path) -> None:
    """And the project that is written names the weights that were taken out."""
    (tmp_path / "net.py").write_text(NET)
    script = "import torch, net; torch.save(net.Net(), 'whole.pth')"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    named = ("--model", "net.py:Net", "--weights", "whole.pth", "--shape", "3")
    finished = edgekit("init", "project", *named, cwd=tmp_path)
    assert finished.code == 5
    assert "net.Net" in finished.err
    assert "--trust-pickle" in finished.err
    assert not (tmp_path / "project").exists()
    finished = edgekit("init", "project", *named, "--trust-pickle", cwd=tmp_path)
    assert finished.code == 0, finished.err
    written = tomllib.loads((tmp_path / "project" / "edgekit.toml").read_text())
    assert written["model"]["weights"] == "../whole.pth.safetensors"

"""Projects that are built in seconds, for tests of sweeps."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

MODEL = """
import os, signal, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, {width}), nn.Linear({width}, 8)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

def build():
    {before}
    return Net()
"""
PROJECT = """
[model]
name = "{name}"
source = "model.py:build"
weights = "weights.safetensors"
[[inputs]]
name = "x"
dtype = "float32"
shape = ["batch", 16]
[[outputs]]
name = "y"
dtype = "float32"
shape = ["batch", 8]
meaning = "logits"
[data]
calibration = "calibration.npz"
evaluation = "evaluation.npz"
[budget.quantization]
min_sqnr_db = {decibel}
[budget.total]
min_sqnr_db = {decibel}
min_top1_agreement = 0.5
"""


def project(folder: Path, name: str, *, width: int = 24, before: str = "pass", decibel: float = 10.0) -> Path:
    """Write a project.

    Args:
        folder: The folder that its folder is put in.
        name: Its name, and that of its model.
        width: How many values are between its two layers.
        before: What is run whenever the model is made.
        decibel: The limit of its SQNR.
    """
    place = folder / name
    place.mkdir(parents=True)
    (place / "model.py").write_text(MODEL.format(width=width, before=before))
    (place / "edgekit.toml").write_text(PROJECT.format(name=name, decibel=decibel))
    torch.manual_seed(width)
    layers = nn.ModuleDict({"a": nn.Linear(16, width), "b": nn.Linear(width, 8)})
    save_file(layers.state_dict(), place / "weights.safetensors")
    generator = np.random.default_rng(width)
    for data in ("calibration", "evaluation"):
        np.savez(place / f"{data}.npz", x=generator.standard_normal((32, 16)).astype(np.float32))
    return place


def sweep_file(folder: Path, text: str) -> Path:
    """Write a sweep file."""
    file = folder / "sweep.toml"
    file.write_text(text)
    return file

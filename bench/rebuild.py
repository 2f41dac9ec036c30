"""The unchanged rebuild: `edgekit build` of a project, twice, each in a process of its own; the second is timed.

Here the seconds are those of the public build, with verification and bundle, since that is what a person waits for.
As a program: python -m bench.rebuild PROJECT OUTPUT, which builds and prints the seconds without imports.
"""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.environments import ROOT

_TARGET = "android-arm64"
_MODEL = '''"""A network of the benchmark."""

from torch import nn

from bench.networks import NETWORKS


def build() -> nn.Module:
    """Make the network with random weights."""
    return NETWORKS["{name}"].make()
'''
_PROJECT = """labels = {labels}

[model]
name = "{name}"
source = "model.py:build"
weights = "weights.safetensors"

[[inputs]]
name = "{input}"
shape = {shape}

[[outputs]]
name = "logits"
shape = ["batch", 10]
meaning = "logits"

[dimensions]
batch = 64

[data]
calibration = "calibration.npz"
evaluation = "evaluation.npz"
"""


def available() -> bool:
    """Whether this EdgeKit keeps what it built."""
    return importlib.util.find_spec("edgekit.base.cache") is not None


def measure(name: str, folder: Path) -> float:
    """Build a network's project twice and return the seconds that the second build took, without imports.

    Raises:
        subprocess.CalledProcessError: If a build fails.
    """
    _write_project(name, folder / "project")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "sdk")]),
        "EDGEKIT_CACHE": str(folder / "cache"),
    }
    command: list[str | Path] = [sys.executable, "-m", "bench.rebuild", folder / "project", folder / "artifacts"]
    printed = ""
    for _ in range(2):
        with (folder / "log").open("a", encoding="utf-8") as log:
            printed = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, check=True
            ).stdout
    return float(printed.split()[-1])


def _write_project(name: str, folder: Path) -> None:
    from bench.networks import NETWORKS
    from bench.networks.data import CLASSES, data_for

    network = NETWORKS[name]
    folder.mkdir(parents=True)
    data = data_for(network)
    for file, samples in (("calibration", data.calibration), ("evaluation", data.evaluation)):
        assert samples.labels is not None
        np.savez(folder / f"{file}.npz", allow_pickle=False, **samples.inputs, labels=samples.labels)
    shape = ["batch", *network.shape]
    text = _PROJECT.format(labels=list(CLASSES), name=name, input=network.input, shape=shape)
    (folder / "edgekit.toml").write_text(text, encoding="utf-8")
    (folder / "model.py").write_text(_MODEL.format(name=name), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(network.weights.read_bytes())


def main() -> None:
    """Build, and print the seconds."""
    from edgekit import targets
    from edgekit.pipeline.rebuild import build_project
    from edgekit.spec import project

    opened, profile = project.load(Path(sys.argv[1])), targets.load(_TARGET)
    start = time.perf_counter()
    build_project(opened, (profile,), Path(sys.argv[2]))
    print(time.perf_counter() - start)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()

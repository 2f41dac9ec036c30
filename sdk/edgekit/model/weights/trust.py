"""``--trust-pickle``: take the weights out of a file that runs code when it is loaded, in a process of its own."""

import os
from dataclasses import replace
from pathlib import Path

from edgekit.base import digest
from edgekit.base.atomic import unfinished
from edgekit.base.child import Child, ChildError
from edgekit.base.filekind import FileKind
from edgekit.base.frames import Facts
from edgekit.base.telling import kind_of
from edgekit.base.text import line
from edgekit.errors import SourceError
from edgekit.model.weights import shards
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.spec.project import OpenProject

_PICKLES = (FileKind.TORCH, FileKind.TORCH_LEGACY, FileKind.TORCH_TAR, FileKind.PICKLE)
# A model in memory, its state, and what is written of it.
_COPIES, _ROOM = 6, 4 * 2**30
_SECONDS, _SPEED = 60, 10**7


def trusted(project: OpenProject) -> OpenProject:
    """Return a project whose weights are plain: as they are, or taken out of a pickle into a file beside it.

    Raises:
        SourceError: If the weights are no pickle, or it cannot be loaded.
    """
    model = project.spec.model
    plain = plain_weights(project.weights, model.weights_key, project.source, project.root)
    if plain == project.weights:
        return project
    update = {"weights": os.path.relpath(plain, project.root), "weights_key": None}
    return replace(project, spec=project.spec.model_copy(update={"model": model.model_copy(update=update)}))


def plain_weights(path: Path, key: str | None, source: tuple[Path, str], root: Path) -> Path:
    """Return a file of weights that runs nothing: the file itself, or ``NAME.safetensors`` with what is in the pickle.

    That file is used again while the pickle is the same.

    Args:
        path: The file of the weights.
        key: Which of the models in it to take.
        source: The Python file and the function in it that make the model; its classes may be in the pickle.
        root: A folder to import from, besides that of the Python file.

    Raises:
        SourceError: If the weights are no pickle, or it cannot be loaded.
    """
    try:
        read_checkpoint(path, key)
    except SourceError:
        if kind_of(path) not in _PICKLES:
            raise
    else:
        return path
    plain = path.with_name(f"{path.name}.safetensors")
    known = {"from": path.name, "sha256": digest.of_file(path), "key": key or ""}
    if not _is_of(plain, known):
        _convert(path, plain, known, source, root)
    return plain


def _is_of(plain: Path, known: dict[str, str]) -> bool:
    try:
        return plain.is_file() and shards.origin_of(plain).items() >= known.items()
    except (OSError, shards.HeaderError):
        return False


def _convert(path: Path, plain: Path, known: dict[str, str], source: tuple[Path, str], root: Path) -> None:
    if plain.exists():
        raise SourceError(f"{plain} is in the way: the weights of {path.name} go there.", hint="Move it elsewhere.")
    file, function = source
    size = path.stat().st_size
    partial = unfinished(plain)
    question: Facts = {
        "path": str(path.resolve()), "output": str(partial.resolve()), "key": known["key"],
        "folders": [str(file.parent.resolve()), str(root.resolve())],
        "source": str(file.resolve()), "function": function,
        "metadata": dict(known),
    }  # fmt: skip
    try:
        child = Child("edgekit.model.weights.unpickle", memory=_COPIES * size + _ROOM)
        try:
            answer, _ = child.ask(question, seconds=_SECONDS + size / _SPEED)
        finally:
            child.close()
        if (error := answer.get("error")) is not None:
            raise SourceError(
                f"{path} cannot be unpickled: {line(str(error))}.",
                hint="Load it where it was written, and save model.state_dict().",
            )
        partial.replace(plain)
    except ChildError as error:
        raise SourceError(
            f"{path} {error} when it is unpickled.", hint="Load it where it was written, and save model.state_dict()."
        ) from error
    except OSError as error:
        raise SourceError(f"{plain} cannot be written: {error}", hint="Its folder takes the weights.") from error
    finally:
        partial.unlink(missing_ok=True)

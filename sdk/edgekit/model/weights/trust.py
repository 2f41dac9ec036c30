"""``--trust-pickle``: take the model out of a file that runs code when it is loaded, in a process of its own.

What comes out runs nothing: the weights as safetensors and, of a whole model, its program as `torch.export` writes it.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from edgekit.base import digest
from edgekit.base.atomic import unfinished
from edgekit.base.child import Child, ChildError
from edgekit.base.filekind import PICKLES
from edgekit.base.frames import Facts
from edgekit.base.telling import kind_of
from edgekit.base.text import line
from edgekit.data.peek import Peek
from edgekit.errors import SourceError
from edgekit.model.weights import shards
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.spec.asked import AskedShape
from edgekit.spec.project import OpenProject

# A model in memory, its state, and what is written of it.
_COPIES, _ROOM = 6, 4 * 2**30
_SECONDS, _SPEED = 60, 10**7
_EXPORT_S = 300
_SAVE = "Load it where it was written, and save model.state_dict()."


@dataclass(frozen=True, kw_only=True)
class Example:
    """What tells what a model takes, which is run once to be exported."""

    shapes: Mapping[str, AskedShape] = field(default_factory=dict)
    """What was said; by name of the input, the empty name is the only one."""
    seen: Peek = field(default_factory=Peek)
    """What the data tells."""


_EXAMPLE = TypeAdapter(Example)


def trusted(project: OpenProject) -> OpenProject:
    """Return a project whose weights are plain: as they are, or taken out of a pickle into a file beside it.

    Raises:
        SourceError: If the weights are no pickle, or it cannot be loaded.
    """
    model = project.spec.model
    shapes = {
        spec.name: AskedShape(sizes=tuple(size for size in spec.shape[1:] if isinstance(size, int)), dtype=spec.dtype)
        for spec in project.spec.inputs
        if all(isinstance(size, int) for size in spec.shape[1:])
    }
    plain = plain_weights(project.weights, model.weights_key, project.source, project.root, Example(shapes=shapes))
    if plain == project.weights:
        return project
    update = {"weights": os.path.relpath(plain, project.root), "weights_key": None}
    return replace(project, spec=project.spec.model_copy(update={"model": model.model_copy(update=update)}))


def plain_weights(
    path: Path, key: str | None, source: tuple[Path, str], root: Path, example: Example | None = None
) -> Path:
    """Return a file of weights that runs nothing: the file itself, or ``NAME.safetensors`` with what is in the pickle.

    That file is used again while the pickle is the same. Beside it goes the program of a whole model, ``NAME.pt2``,
    where it can be exported and nothing has that name.

    Args:
        path: The file of the weights.
        key: Which of the models in it to take.
        source: The Python file and the function in it that make the model; its classes may be in the pickle.
        root: A folder to import from, besides that of the Python file.
        example: What tells what the model takes.

    Raises:
        SourceError: If the weights are no pickle, or it cannot be loaded.
    """
    try:
        read_checkpoint(path, key)
    except SourceError:
        if kind_of(path) not in PICKLES:
            raise
    else:
        return path
    plain, known = _beside(path, ".safetensors"), _known(path, key)
    if not _is_of(plain, known):
        if plain.exists():
            raise SourceError(f"{plain} is in the way: the weights of {path.name} go there.", hint="Move it elsewhere.")
        _convert(path, plain, known, source, root, example or Example())
    return plain


def plain_program(path: Path, key: str | None, root: Path, example: Example) -> Path:
    """Return ``NAME.pt2``, the program of the whole model in a pickle; used again while the pickle is the same.

    Args:
        path: The pickle.
        key: Which of the models in it to take.
        root: A folder to import from; that of the pickle is another.
        example: What tells what the model takes.

    Raises:
        SourceError: If it holds no whole model, or one that cannot be loaded, run or exported.
    """
    program, known = _beside(path, ".pt2"), _known(path, key)
    if not _program_is_of(program, known):
        if program.exists():
            raise SourceError(f"{program} is in the way: the program of {path.name} goes there.", hint="Move it away.")
        why = _convert(path, _beside(path, ".safetensors"), known, None, root, example)
        if why:
            raise SourceError(
                f"{path} cannot be exported as a program: {line(why)}",
                hint="Say what it takes, --shape 3x224x224; or let --model FILE.py:NAME make the network.",
            )
    return program


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")


def _known(path: Path, key: str | None) -> dict[str, str]:
    return {"from": path.name, "sha256": digest.of_file(path), "key": key or ""}


def _is_of(plain: Path, known: dict[str, str]) -> bool:
    try:
        return plain.is_file() and shards.origin_of(plain).items() >= known.items()
    except (OSError, shards.HeaderError):
        return False


def _program_is_of(program: Path, known: dict[str, str]) -> bool:
    try:
        with zipfile.ZipFile(program) as archive:
            (name,) = (one for one in archive.namelist() if one.endswith("extra/edgekit"))
            found = json.loads(archive.read(name))
        return isinstance(found, dict) and found.items() >= known.items()
    except Exception:  # whatever lies there: it is none of ours
        return False


def _convert(
    path: Path, plain: Path, known: dict[str, str], source: tuple[Path, str] | None, root: Path, example: Example
) -> str:
    """Write the weights and, of a whole model, the program; return why that could not be written, or nothing."""
    size = path.stat().st_size
    weights, program = unfinished(plain), unfinished(_beside(path, ".pt2"))
    folders = [path.parent if source is None else source[0].parent, root]
    question: Facts = {
        "path": str(path.resolve()), "kind": kind_of(path).value, "key": known["key"],
        "output": str(weights.resolve()), "program": str(program.resolve()),
        "folders": [str(folder.resolve()) for folder in folders],
        "source": "" if source is None else str(source[0].resolve()), "function": "" if source is None else source[1],
        "metadata": dict(known), "example": _EXAMPLE.dump_json(example).decode(),
    }  # fmt: skip
    try:
        child = Child("edgekit.model.weights.unpickle", memory=_COPIES * size + _ROOM)
        try:
            _told(path, child.ask(question, seconds=_SECONDS + size / _SPEED)[0])
            if not plain.exists():
                weights.replace(plain)
            if _beside(path, ".pt2").exists():
                return ""
            why = _exported(child, size)
            if not why:
                program.replace(_beside(path, ".pt2"))
            return why
        finally:
            child.close()
    except ChildError as error:
        raise SourceError(f"{path} {error} when it is unpickled.", hint=_SAVE) from error
    except OSError as error:
        raise SourceError(f"{plain} cannot be written: {error}", hint="Its folder takes the weights.") from error
    finally:
        weights.unlink(missing_ok=True)
        program.unlink(missing_ok=True)


def _told(path: Path, answer: Facts) -> None:
    if (error := answer.get("error")) is not None:
        raise SourceError(f"{path} cannot be unpickled: {line(str(error))}.", hint=_SAVE)


def _exported(child: Child, size: int) -> str:
    try:
        answer, _ = child.ask({"export": True}, seconds=_EXPORT_S + size / _SPEED)
    except ChildError as error:  # the weights are there already
        return f"it {error}"
    return str(answer.get("error", ""))

"""The data of a project: read from files, split from one set, or returned by the project's own function."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.base.memory import Memory
from edgekit.data import doubts, files
from edgekit.data.found import Found, Wanted
from edgekit.data.peek import Peek
from edgekit.data.samples import Samples
from edgekit.data.split import limited, split
from edgekit.errors import DataError
from edgekit.model.source.batches import samples_of
from edgekit.model.source.seen import peek_batches
from edgekit.spec import Dimension, TensorSpec
from edgekit.spec.project import OpenProject
from edgekit.spec.usercode import contained, importable, load_function, place

_FORMS = "It returns a batch or batches: tensors or arrays, sequences of them, or mappings by the names of the inputs."


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a model is calibrated and measured with."""

    calibration: Samples
    evaluation: Samples
    notes: tuple[str, ...]
    """What a reader of the report must know about it."""


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """What the project says that the model takes and gives, before there is a model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dimensions: Mapping[str, Dimension]


def of_project(project: OpenProject, memory: Memory) -> Data:
    """Read the data that a project names.

    Raises:
        DataError: If it cannot be read or does not fit what the project declares.
    """
    calibration, evaluation = _found(project, memory)
    notes = (
        *calibration.notes,
        *(note for note in evaluation.notes if note not in calibration.notes),
        *doubts.of_all(calibration.samples, evaluation.samples),
    )
    return Data(calibration=calibration.samples, evaluation=evaluation.samples, notes=notes)


def evaluation_of(project: OpenProject, memory: Memory) -> Samples:
    """Read the evaluation data alone.

    Raises:
        DataError: If it cannot be read or does not fit what the project declares.
    """
    if project.spec.data.source is not None:
        return _found(project, memory)[1].samples
    return _read(project, 1, memory, project.spec.data.limit).samples


def training_of(project: OpenProject, memory: Memory) -> Samples | None:
    """Read the training data that a project names; None: it names none, and trains with what it is calibrated with.

    Raises:
        DataError: If it cannot be read or does not fit what the project declares.
    """
    if project.spec.data.training is None:
        return None
    return _checked(project, _unread(project, 2, memory), memory, 2).samples


def _found(project: OpenProject, memory: Memory) -> tuple[Found, Found]:
    data = project.spec.data
    if data.source is None:
        # Drift is measured with the evaluation data: what is wrong with it is told first.
        evaluation = _read(project, 1, memory, data.limit)
        return _read(project, 0, memory, data.limit), evaluation
    parts = split(_unread(project, 0, memory), data.split, data.seed, data.group)
    calibration, evaluation = (_checked(project, limited(part, data.limit), memory) for part in parts)
    note = (
        f"Of {data.source}, {len(calibration.samples)} samples are for calibration and {len(evaluation.samples)}, "
        f"held out by chance (seed {data.seed}), for evaluation."
    )
    return replace(calibration, notes=(*calibration.notes, note)), evaluation


def _read(project: OpenProject, which: int, memory: Memory, limit: int | None) -> Found:
    return _checked(project, limited(_unread(project, which, memory), limit), memory, which)


def _unread(project: OpenProject, which: int, memory: Memory) -> Found:
    function = project.data_functions[which]
    file = (project.calibration, project.evaluation, project.training)[which]
    if function is None:
        return files.find(file, _wanted(project, memory))
    return Found(samples=_returned(project, file, function, memory))


def _checked(project: OpenProject, found: Found, memory: Memory, which: int = 0) -> Found:
    named = project.spec.data.named[which]
    return files.checked(found, project.root / named, _wanted(project, memory), project.spec.sizes)


def _wanted(project: OpenProject, memory: Memory) -> Wanted:
    spec = project.spec
    return Wanted(
        inputs=spec.taken,
        outputs=spec.tensors,
        preprocessing=spec.preprocessing,
        audio=spec.audio,
        text=spec.text,
        labels=spec.labels,
        root=project.root,
        held=memory.held,
    )


def _returned(project: OpenProject, file: Path, function: str, memory: Memory) -> Samples:
    """Call a person's function, and read all batches that it returns."""
    spec, what = project.spec, f"data of {file.name}:{function}"
    declared = _Declared(inputs=spec.taken, outputs=spec.tensors, dimensions=spec.sizes)
    with importable(file.parent):
        found = _called(file, function)
        return samples_of(found, declared, what=what, outputs=spec.tensors, memory=memory)


def peek_function(file: Path, function: str) -> Peek:
    """Call a person's function, and look at the first batches that it returns.

    Raises:
        DataError: If it fails, or its data does.
    """
    with importable(file.parent):
        found = _called(file, function)
        try:
            with contained():
                return peek_batches(found)
        except Exception as error:  # anything may be raised by a person's loader
            raise DataError(f"Data of {function} in {place(file, error)}", hint=_FORMS) from error


def _called(file: Path, function: str) -> Any:
    call = load_function(file, function, key="[data]", error=DataError)
    try:
        with contained():
            return call()
    except Exception as error:  # anything may be raised by a person's code
        raise DataError(f"{function} in {place(file, error)}", hint="It is called without arguments.") from error

"""The model of a project: import its Python file, call its function, load its weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from edgekit.errors import SourceError
from edgekit.model.program import Source
from edgekit.model.programs.program import Program
from edgekit.model.ready import Ready
from edgekit.model.source.module import source_from_module
from edgekit.model.weights import into, stated
from edgekit.model.weights.accuracy import accuracy_in
from edgekit.model.weights.checkpoint import Checkpoint, read_checkpoint
from edgekit.model.weights.into import Loaded
from edgekit.spec.project import OpenProject
from edgekit.spec.sections import Project
from edgekit.spec.usercode import contained, importable, load_function, place


def load_model(project: OpenProject, program: Program | None = None, ready: Ready | None = None) -> Source:
    """Make the project's model, with its weights, in eval mode.

    Args:
        project: What goes in and out of the model stands in it.
        program: The model, where it is no Python file of the project's; from `edgekit.model.programs.complete`.
        ready: What of it was read or made before.

    Raises:
        SourceError: If the Python file fails, the weights do not fit, or the model returns other than is declared.
    """
    if program is not None:
        return _made(project.spec, program.module, program.notes)
    file, function = project.source
    checkpoint = ready.checkpoint if ready is not None else None
    checkpoint = checkpoint or read_checkpoint(project.weights, project.spec.model.weights_key)
    spec = stated.completed(project, checkpoint).spec
    loaded = ready.loaded if ready is not None else None
    loaded = loaded or float_model(file, function, spec.model.arguments, checkpoint)
    made = _made(spec, loaded.model, (*loaded.notes, *stated.differences(spec, checkpoint)))
    return replace(made, stated_accuracy=accuracy_in(checkpoint.metrics))


def _made(spec: Project, model: nn.Module, notes: tuple[str, ...]) -> Source:
    return source_from_module(
        spec.model.name,
        model,
        spec.taken,
        spec.tensors,
        spec.sizes,
        labels=spec.labels,
        preprocessing=spec.preprocessing,
        audio=spec.audio,
        unbatched=spec.unbatched,
        notes=notes,
    )


def float_model(file: Path, function: str, arguments: dict[str, Any], checkpoint: Checkpoint) -> Loaded:
    """Make the model that a Python file describes, with its weights.

    Args:
        file: The Python file.
        function: The function or class in it that makes the module.
        arguments: Keyword arguments for it, before those that the checkpoint says.
        checkpoint: The weights.

    Raises:
        SourceError: If the Python file fails, or the weights do not fit.
    """
    with importable(file.parent):
        make = load_function(file, function, key="model.source", error=SourceError)
        return into.load(checkpoint, lambda values: _build(file, make, function, values), make, arguments)


def _build(file: Path, make: Callable[..., Any], function: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        with contained():
            model = make(**arguments)
    except Exception as error:  # anything may be raised by a person's code
        raise SourceError(f"{function} in {place(file, error)}", hint="Correct it, or model.arguments.") from error
    if not isinstance(model, nn.Module):
        raise SourceError(
            f"{function} in {file} returns a {type(model).__name__}, no torch.nn.Module.",
            hint="Return the model; EdgeKit loads its weights.",
        )
    return model

"""What a caller hands over as a model, a module or a program, becomes a `Source`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import DataError, ProjectError
from edgekit.model.program import Source
from edgekit.model.programs.describe import disagreements_with
from edgekit.model.programs.program import Program
from edgekit.model.programs.read import of_object
from edgekit.model.source.derive import DEFAULT_NAMES
from edgekit.model.source.example import Shape, source_from_example
from edgekit.spec import Audio, Meaning, Preprocessing
from edgekit.spec.dimensions import BATCH, Sizes


def source_of(
    name: str | None,
    model: Any,
    example_inputs: Any,
    *,
    output_names: Sequence[str] = DEFAULT_NAMES,
    labels: Sequence[str] = (),
    meanings: Mapping[str, Meaning] | None = None,
    preprocessing: Preprocessing | None = None,
    audio: Audio | None = None,
    shapes: Mapping[str, Shape] | None = None,
    max_batch: int | None = None,
    dimensions: Mapping[str, Sizes] | None = None,
    unbatched: bool = False,
) -> Source:
    """Make a source of a module, of a program in memory, or of the file of one; nothing of the caller's is changed.

    Args:
        name: The model's name; that of the file or the class unless given.
        model: A module, a ``torch.export.ExportedProgram``, a ``torch.jit.ScriptModule``, or the path of a program.
        example_inputs: The arguments of ``forward``; None where the program says what goes in.
        output_names: Names of what ``forward`` returns, in order, where it does not name it itself.
        labels: Names of the classes; the program's own unless given.
        meanings: What outputs mean, by name.
        preprocessing: How a picture becomes the first input; the program's own unless given.
        audio: How a sound becomes the only input.
        shapes: Shapes of inputs with names for what varies; the program's own unless given.
        max_batch: The largest batch.
        dimensions: The sizes of each name in the shapes, or the largest; the program's own unless given.
        unbatched: Whether ``forward`` takes one sample without a batch; the example then has none either.

    Raises:
        SourceError: If the model cannot be read, copied or run, or returns what no artifact can.
        DataError, ProjectError: If an argument does not fit it.
    """
    program = of_object(model)
    if program is None:
        if example_inputs is None:
            raise DataError("example_inputs is missing.", hint="Pass what forward takes, or an exported program.")
        return source_from_example(
            name,
            model,
            example_inputs,
            output_names=output_names,
            labels=labels,
            meanings=meanings,
            preprocessing=preprocessing,
            audio=audio,
            shapes=shapes,
            max_batch=max_batch,
            dimensions=dimensions,
            unbatched=unbatched,
        )
    front: tuple[int | str, ...] = (1,) if unbatched else ()
    own = {spec.name: (*front, *spec.shape) for spec in program.inputs or ()}
    sizes: dict[str, Sizes] = dict(program.sizes)
    if max_batch is not None:
        sizes.pop(BATCH, None)
    if missing := [key for key in program.open if key not in (dimensions or {}) and not shapes]:
        raise ProjectError(
            f"{program.origin} names no largest size of {missing[0]}.", hint=f"dimensions={{'{missing[0]}': 512}} does."
        )
    source = source_from_example(
        name or (re.sub(r"[^A-Za-z0-9._-]", "-", Path(model).stem) if isinstance(model, str | Path) else None),
        program.module,
        _zeros(program) if example_inputs is None else example_inputs,
        output_names=output_names,
        labels=labels or program.labels,
        meanings=meanings,
        preprocessing=preprocessing or program.preprocessing,
        audio=audio,
        shapes=shapes or own,
        max_batch=max_batch,
        dimensions={**sizes, **(dimensions or {})},
        unbatched=unbatched,
        notes=program.notes,
    )
    names = tuple(spec.name for spec in source.inputs) if unbatched else ()
    if faults := disagreements_with(program, source.inputs, source.dimensions, names):
        raise ProjectError("\n".join(faults), hint="Leave shapes= and dimensions= out: the program says them.")
    return source


def _zeros(program: Program) -> dict[str, Tensor]:
    """Return inputs to run a program on: two samples where their number varies."""
    if program.inputs is None:
        names = ", ".join(program.names or ())
        raise DataError(
            f"{program.origin} does not say the shapes of {names}.", hint="Pass example_inputs=, what forward takes."
        )
    sizes = program.sizes
    return {
        spec.name: torch.zeros(
            [size if isinstance(size, int) else sizes[size].nearest(2) if size in sizes else 8 for size in spec.shape],
            dtype=getattr(torch, spec.dtype),
        )
        for spec in program.inputs
    }

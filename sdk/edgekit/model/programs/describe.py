"""What goes in and out of a program, held against what a project declares; what that leaves out, the program says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgekit.errors import ProjectError, SourceError
from edgekit.model.programs.program import Program
from edgekit.model.programs.read import read
from edgekit.model.source.derive import DEFAULT_NAMES, described, returned
from edgekit.model.source.own import own_copy
from edgekit.spec import Dimension, Preprocessing, TensorSpec, schema
from edgekit.spec.agreement import disagreements
from edgekit.spec.dimensions import BATCH, Sizes, filled, fixed, ranges
from edgekit.spec.project import PROJECT_FILE, OpenProject
from edgekit.spec.sections import InputSection, OutputSection

_HINT = "Correct what stands there, or leave it out: then it is taken from the program."


@dataclass(frozen=True, kw_only=True)
class Described:
    """What ``edgekit.toml`` would say of a program."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dimensions: Mapping[str, Dimension]
    open: tuple[str, ...]
    """Dimensions that somebody must give a largest size; outputs are then found with small ones."""
    labels: tuple[str, ...]
    preprocessing: Preprocessing | None


def describe(program: Program, inputs: tuple[TensorSpec, ...] | None = None) -> Described:
    """Return what goes in and out of a program.

    Args:
        program: From `edgekit.model.programs.read`.
        inputs: What goes in, where the program does not say.

    Raises:
        SourceError: If nobody says what goes in, or the program fails on it.
    """
    given = inputs or program.inputs
    if given is None:
        raise SourceError(
            f"{program.origin} does not say what goes in ({', '.join(program.names or ())}).",
            hint="Write [[inputs]] with name, dtype and shape into edgekit.toml.",
        )
    known = program.sizes
    used = {size for spec in given for size in spec.shape if isinstance(size, str)}
    small = {name: Dimension(max=32) for name in used if name not in known and name != BATCH}
    sizes = {name: size for name, size in {BATCH: Dimension(max=1), **known, **small}.items() if name in used}
    outputs = program.outputs or outputs_of(program, given, sizes)
    return Described(
        inputs=given,
        outputs=outputs,
        dimensions={name: size for name, size in sizes.items() if name not in small},
        open=tuple(small),
        labels=program.labels,
        preprocessing=program.preprocessing,
    )


def outputs_of(
    program: Program, inputs: tuple[TensorSpec, ...], dimensions: Mapping[str, Sizes]
) -> tuple[TensorSpec, ...]:
    """Return what comes out, found by running the program on zeros of two sizes.

    Raises:
        SourceError: If it fails, or returns what no artifact can.
    """
    sizes = ranges(dimensions)
    one = fixed(sizes)
    free = {name: size for name, size in sizes.items() if name not in one}
    specs = filled(inputs, one)
    zeros = tuple(_zeros(spec, free) for spec in specs)
    found = returned(program.origin, own_copy(program.origin, program.module), specs, zeros, free)
    return described(found, DEFAULT_NAMES, [spec.name for spec in specs])


def complete(project: OpenProject, program: Program | None = None) -> tuple[OpenProject, Program | None]:
    """Return a project that says all that goes in and out, and its program, if its model is one.

    Args:
        project: The project.
        program: Its program, where it was read before.

    Raises:
        SourceError: If the program cannot be read, or does not say what the project leaves out.
        ProjectError: With all places where the project disagrees with the program.
    """
    if not project.is_program:
        return project, None
    program, spec = program or read(project), project.spec
    inputs = spec.taken or program.inputs
    if inputs is None:
        inputs = describe(program).inputs  # which says what is missing
    faults = disagreements_with(program, spec.taken, spec.sizes if spec.inputs else {}, spec.unbatched)
    dimensions: dict[str, Sizes] = {**_taken(program, inputs), **spec.dimensions}
    missing = [name for name in program.open if name not in dimensions and any(name in one.shape for one in inputs)]
    faults += [f"dimensions.{name}: missing; {program.origin} names no largest size" for name in missing]
    if not faults:
        outputs = spec.outputs or tuple(
            OutputSection.model_validate(output.model_dump())
            for output in program.outputs or outputs_of(program, inputs, {BATCH: 1, **dimensions})
        )
        sections = spec.inputs or tuple(InputSection.model_validate(one.model_dump()) for one in inputs)
        values = {"inputs": sections, "outputs": outputs, "dimensions": dimensions}
        spec = spec.model_copy(update={key: value for key, value in values.items() if value != getattr(spec, key)})
        if spec.preprocessing is None and program.preprocessing is not None and not project.spec.inputs:
            spec = spec.model_copy(update={"preprocessing": program.preprocessing})
        faults = disagreements(spec)
    if faults:
        raise ProjectError(schema.report(str(project.root / PROJECT_FILE), faults), hint=_HINT)
    return replace(project, spec=spec), program


def _taken(program: Program, inputs: tuple[TensorSpec, ...]) -> dict[str, Dimension]:
    used = {size for spec in inputs for size in spec.shape}
    return {name: size for name, size in program.sizes.items() if name in used}


def disagreements_with(
    program: Program,
    inputs: tuple[TensorSpec, ...],
    sizes: Mapping[str, Dimension],
    unbatched: tuple[str, ...] = (),
) -> list[str]:
    """Return where declared inputs are others than a program's, one line each.

    Args:
        program: The program.
        inputs: What is declared; nothing disagrees with nothing.
        sizes: The sizes of the dimensions in them.
        unbatched: The names of inputs that the program takes without the batch that is declared.
    """
    if not inputs:
        return []
    names = program.names or tuple(spec.name for spec in program.inputs or ())
    declared = tuple(spec.name for spec in inputs)
    if declared != names:
        return [f"inputs: are ({', '.join(declared)}), {program.origin} takes ({', '.join(names)})"]
    faults = []
    for index, (spec, own) in enumerate(zip(filled(inputs, fixed(sizes)), program.inputs or (), strict=False)):
        if spec.dtype != own.dtype:
            faults.append(f"inputs[{index}].dtype: is {spec.dtype}, {program.origin} takes {own.dtype}")
        if spec.name in unbatched:
            spec = spec.model_copy(update={"shape": spec.shape[1:]})
        if program.binding and (len(spec.shape) != len(own.shape) or not _fits(spec, own, sizes, program)):
            shape = ", ".join(map(str, own.shape))
            faults.append(f"inputs[{index}].shape: does not fit the [{shape}] of {program.origin}{_limits(program)}")
    return faults


def _fits(spec: TensorSpec, own: TensorSpec, sizes: Mapping[str, Dimension], program: Program) -> bool:
    for size, there in zip(spec.shape, own.shape, strict=True):
        if isinstance(there, int):
            if size != there:
                return False
            continue
        limits = (program.dimensions or {}).get(there)
        if limits is None:
            continue
        wanted = Dimension(min=size, max=size) if isinstance(size, int) else sizes.get(size)
        if wanted is None or wanted.max > limits.max or (wanted.min or limits.least) < limits.least:
            return False
        if wanted.max % limits.multiple or (wanted.multiple % limits.multiple and isinstance(size, str)):
            return False
    return True


def _limits(program: Program) -> str:
    words = [f"{name} {size.least} to {size.max}" for name, size in program.sizes.items()]
    return f" ({', '.join(words)})" if words else ""


def _zeros(spec: TensorSpec, sizes: Mapping[str, Dimension]) -> Tensor:
    shape = [sizes[size].nearest(2) if isinstance(size, str) else size for size in spec.shape]
    return torch.zeros(shape, dtype=getattr(torch, spec.dtype))

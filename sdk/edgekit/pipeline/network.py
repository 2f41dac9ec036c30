"""A network that was only named: made or read, and asked what goes in and out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from edgekit.data.peek import Peek
from edgekit.model import programs
from edgekit.model.programs.program import Program
from edgekit.model.ready import Ready
from edgekit.model.source.example import source_from_example
from edgekit.model.source.model_file import float_model
from edgekit.model.source.own import own_copy
from edgekit.model.source.trial import find_inputs
from edgekit.model.weights.checkpoint import Checkpoint, read_checkpoint
from edgekit.spec import Dimension, Preprocessing, TensorSpec, arguments
from edgekit.spec.asked import Asked, AskedShape
from edgekit.spec.dimensions import BATCH
from edgekit.spec.project import OpenProject
from edgekit.spec.sections import DataSection, ModelSection, Project
from edgekit.spec.written import Guess

_LENGTH = 128


@dataclass(frozen=True, kw_only=True)
class Network:
    """A module, and what is known of it."""

    name: str
    module: nn.Module
    """A copy in float32 and eval mode."""
    program: Program | None = None
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    """The sizes of what varies beside a batch of one."""
    labels: tuple[str, ...] = ()
    normalisation: tuple[Sequence[float], Sequence[float]] = ((), ())
    """Mean and standard deviation that the weights carry; empty where they do not."""
    preprocessing: Preprocessing | None = None
    unbatched: bool = False
    """Whether the module takes one sample without a batch."""
    ready: Ready = field(default_factory=Ready)
    """What a build needs not read or make again."""


def load(asked: Asked, checkpoint: Checkpoint | None = None) -> Network:
    """Make the network, with its weights.

    Args:
        asked: What was named.
        checkpoint: The weights, where they were read before.

    Raises:
        SourceError: If it cannot be made or read, or the weights do not fit.
        ToolchainError: If the library that knows its name is not installed.
    """
    if asked.is_program:
        return _program(asked)
    assert asked.weights is not None
    file, function = asked.source
    checkpoint = checkpoint or read_checkpoint(asked.weights, asked.weights_key)
    loaded = float_model(file, function, dict(asked.arguments), checkpoint)
    name = arguments.model_name(asked.name, type(loaded.model).__name__)
    return Network(
        name=name,
        module=own_copy(name, loaded.model),
        ready=Ready(checkpoint=checkpoint, loaded=loaded),
        labels=checkpoint.labels,
        normalisation=(checkpoint.mean, checkpoint.std),
    )


def _program(asked: Asked) -> Network:
    stem = str(asked.model).rpartition("/")[2].rpartition(":")[2] if asked.weights is None else asked.weights.stem
    name = arguments.model_name(asked.name, stem)
    weights = None if asked.weights is None else str(asked.weights)
    section = ModelSection(name=name, source=asked.model, weights=weights, arguments=dict(asked.arguments))
    spec = Project(model=section, data=DataSection(source="."))
    program = programs.read(OpenProject(root=Path(), spec=spec))
    return Network(
        name=name,
        module=own_copy(name, program.module),
        program=program,
        labels=program.labels,
        ready=Ready(program=program),
    )


def described(network: Network, asked: Asked, seen: Peek, guesses: list[Guess]) -> Network:
    """Return a network with its inputs and outputs: as the program says them, or found by running it once.

    Args:
        network: The network.
        asked: The shapes that were said.
        seen: What the data tells.
        guesses: What is guessed is appended.

    Raises:
        SourceError: If nothing tells what it takes.
    """
    program = network.program
    if program is not None and program.inputs is not None and not asked.shapes and not asked.unbatched:
        found = programs.describe(program)
        seen = seen.named([spec.name for spec in found.inputs])
        largest = {name: Dimension(max=_largest(name, found.inputs, seen)) for name in found.open}
        guesses += [
            Guess(place=f"dimensions.{name}", value=str(size.max), reason="the program names no largest size")
            for name, size in largest.items()
        ]
        sizes = {name: size for name, size in {**found.dimensions, **largest}.items() if name != BATCH}
        return replace(
            network,
            inputs=found.inputs,
            outputs=found.outputs,
            dimensions=sizes,
            preprocessing=found.preprocessing,
        )
    where = asked.source[0] if not asked.is_program else asked.home
    tried = find_inputs(network.name, network.module, _shapes(network, asked), seen, where, unbatched=asked.unbatched)
    example = tuple(one[0] for one in tried.example) if tried.unbatched else tried.example
    source = source_from_example(network.name, network.module, example, unbatched=tried.unbatched)
    if tried.unbatched and not asked.unbatched:
        reason = "forward takes one sample, and none with a batch"
        guesses += [Guess(place=f"inputs[{n}].unbatched", value="true", reason=reason) for n in range(len(example))]
    for number, (spec, (shape, dtype)) in enumerate(zip(source.inputs, tried.reasons, strict=True)):
        if dtype and spec.dtype != "float32":
            guesses.append(Guess(place=f"inputs[{number}].dtype", value=spec.dtype, reason=dtype))
        if shape:
            guesses.append(Guess(place=f"inputs[{number}].shape", value=str([BATCH, *spec.shape[1:]]), reason=shape))
    return replace(network, inputs=_batched(source.inputs), outputs=_batched(source.outputs), unbatched=tried.unbatched)


def _shapes(network: Network, asked: Asked) -> Mapping[str, AskedShape]:
    """Return the shapes that were said, or that a program of one sample says."""
    if asked.shapes or network.program is None:
        return asked.shapes
    return {
        spec.name: AskedShape(sizes=tuple(size for size in spec.shape if isinstance(size, int)), dtype=spec.dtype)
        for spec in network.program.inputs or ()
    }


def _largest(name: str, inputs: tuple[TensorSpec, ...], seen: Peek) -> int:
    """Return the size of a dimension in the data, or a usual one."""
    found = [
        seen.arrays[spec.name][1][axis - 1]
        for spec in inputs
        if spec.name in seen.arrays
        for axis, size in enumerate(spec.shape)
        if axis and size == name and axis <= len(seen.arrays[spec.name][1])
    ]
    return max(found, default=_LENGTH)


def _batched(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return tensors with the batch's name in place of the one sample that was tried."""
    return tuple(
        spec.model_copy(update={"shape": (BATCH, *spec.shape[1:])}) if spec.shape[:1] == (1,) else spec
        for spec in specs
    )

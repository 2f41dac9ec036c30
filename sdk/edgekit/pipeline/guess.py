"""A project of a model that was only named: what nobody said is told by the model, the weights and the data.

It is the one place that guesses: ``edgekit init`` writes down what it says, ``edgekit build --model`` builds it.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.base.progress import Progress, Stages
from edgekit.data.peek import Peek, merged, peek
from edgekit.errors import ProjectError
from edgekit.model.ready import Ready
from edgekit.model.weights.checkpoint import Checkpoint
from edgekit.pipeline import likely
from edgekit.pipeline.datasets import peek_function
from edgekit.pipeline.network import Network, described, load
from edgekit.spec import TensorSpec, schema
from edgekit.spec.agreement import disagreements
from edgekit.spec.asked import Asked
from edgekit.spec.project import OpenProject
from edgekit.spec.sections import Project
from edgekit.spec.written import Guess

_SPLIT = "one set was named: a part, drawn by chance, is held out for evaluation"
_MISSING = "nothing names it: put samples there, or name what there is"


@dataclass(frozen=True, kw_only=True)
class Guessed:
    """A project, and what of it nobody said."""

    project: OpenProject
    guesses: tuple[Guess, ...]
    ready: Ready
    """What was read and made for it, which a build needs not do again."""


def guess(asked: Asked, root: Path, progress: Progress, checkpoint: Checkpoint | None = None) -> Guessed:
    """Make a project of what was named: run the model once, and look at the data.

    Args:
        asked: What was named; paths from the folder of this process.
        root: The folder that the project's paths start from.
        progress: Told about the stages.
        checkpoint: The weights, where they were read before.

    Raises:
        SourceError: If the model cannot be made, given its weights, or run.
        ProjectError: If what was named does not agree.
    """
    stages = Stages(progress)
    data, guesses = asked.data_files, list[Guess]()
    with stages("look at the data"):
        seen = _seen(asked)
    with stages("load the model") as detail:
        network = load(asked, checkpoint)
        detail.append(f"{network.name}, {sum(tensor.numel() for tensor in network.module.parameters()):,} parameters")
    with stages("find out what it takes") as detail:
        network = described(network, asked, seen, guesses)
        detail.append(", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in network.inputs))
        detail.append("gives " + ", ".join(f"{spec.name} {list(spec.shape)}" for spec in network.outputs))
    labels, outputs = likely.outputs(network.outputs, seen, guesses, network.labels)
    inputs, steps = network.inputs, network.preprocessing
    if steps is None:
        inputs, steps = likely.preprocessing(inputs, seen, guesses, network.normalisation)
        if (
            steps is not None
            and data
            and not network.unbatched
            and any(spec.meaning == "logits" for spec in outputs)
            and not all(network.normalisation)
        ):
            steps = likely.tried(steps, network.module, inputs, outputs, labels, data[0], guesses)
    sounds = None if steps is not None else likely.audio(inputs, seen, guesses)
    content = {
        **({"labels": list(labels)} if labels else {}),
        "model": _model(asked, network.name, root),
        "inputs": [_tensor(spec) | ({"unbatched": True} if network.unbatched else {}) for spec in inputs],
        "outputs": [_tensor(spec) for spec in outputs],
        **({"dimensions": _sizes(network)} if network.dimensions else {}),
        **({} if steps is None else {"preprocessing": steps.model_dump(mode="json", exclude_unset=True)}),
        **({} if sounds is None else {"audio": {"rate": sounds.rate}}),
        "data": _data(asked, root, guesses),
    }
    spec, faults = schema.check(content, Project)
    faults += [] if spec is None else disagreements(spec)
    if spec is None or faults:
        raise ProjectError(schema.report("What was guessed of the model and the data", faults), hint=likely.HINT)
    project = OpenProject(root=root, spec=spec, notes=notes(guesses))
    return Guessed(project=project, guesses=tuple(guesses), ready=network.ready)


def _seen(asked: Asked) -> Peek:
    """Look at files, and at what the first function returns where functions are named."""
    returned = [peek_function(file, function) for file, function in asked.data_functions[:1]]
    return merged([*returned, peek(asked.data_files)])


def _model(asked: Asked, name: str, root: Path) -> dict[str, Any]:
    file, function = asked.source
    source = asked.model if asked.is_program else f"{_relative(str(file), root)}:{function}"
    weights = None if asked.weights is None else _relative(str(asked.weights), root)
    found = {
        "name": name,
        "source": source,
        "arguments": dict(asked.arguments) or None,
        "weights": weights,
        "weights_key": asked.weights_key,
    }
    return {key: value for key, value in found.items() if value is not None}


def _sizes(network: Network) -> dict[str, Any]:
    return {name: size.model_dump(exclude_unset=True) for name, size in network.dimensions.items()}


def _data(asked: Asked, root: Path, guesses: list[Guess]) -> dict[str, str]:
    """Return what the project says of its data: one set is split; where there is none, places for it are named."""
    if asked.data is not None:
        guesses.append(Guess(place="data.source", value=asked.data, reason=_SPLIT))
        return {"source": _relative(asked.data, root)}
    named = {"calibration": asked.calibration, "evaluation": asked.evaluation}
    guesses += [Guess(place=f"data.{key}", value=key, reason=_MISSING) for key, given in named.items() if given is None]
    return {key: key if given is None else _relative(given, root) for key, given in named.items()}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return the keys of a tensor that are worth writing."""
    meaning = {} if spec.meaning == "tensor" else {"meaning": spec.meaning}
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape), **meaning}


def _relative(path: str, root: Path) -> str:
    """Return a path from the project's folder, as it was given where it is absolute."""
    return path if Path(path).is_absolute() else Path(os.path.relpath(path, root)).as_posix()


def notes(guesses: Iterable[Guess]) -> tuple[str, ...]:
    """Return what a reader of the report must know."""
    return tuple(f"Guessed, {one}." for one in guesses)

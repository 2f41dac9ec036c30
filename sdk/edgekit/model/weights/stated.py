"""What a checkpoint states beside its weights, held against what the project says; the project goes before."""

import math
from dataclasses import replace

from edgekit.model.weights.checkpoint import Checkpoint, read_checkpoint
from edgekit.model.weights.values import printable
from edgekit.spec.agreement import label_faults
from edgekit.spec.project import OpenProject
from edgekit.spec.sections import Project

_SHOWN = 4
_ALIKE = 1e-3


def completed(project: OpenProject, checkpoint: Checkpoint | None = None) -> OpenProject:
    """Return a project with the names of the classes that its weights hold, where it has none and they fit its outputs.

    Args:
        project: The project.
        checkpoint: Its weights, where they were read before.

    Raises:
        SourceError: If the weights cannot be read.
    """
    if project.spec.labels:
        return project
    found = (checkpoint or read_checkpoint(project.weights, project.spec.model.weights_key)).labels
    if not found or label_faults(found, project.spec.tensors):
        return project
    return replace(project, spec=project.spec.model_copy(update={"labels": found}))


def differences(spec: Project, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return notes on what the checkpoint states otherwise than the project."""
    name, notes = checkpoint.path.name, []
    if checkpoint.labels and checkpoint.labels != spec.labels:
        shown = ", ".join(map(printable, checkpoint.labels[:_SHOWN])) + ", ..." * (len(checkpoint.labels) > _SHOWN)
        fault = (label_faults(checkpoint.labels, spec.tensors) or ["labels: the project has others"])[0]
        notes.append(f"{name} names {len(checkpoint.labels)} classes ({shown}), which were not taken: {fault}.")
    if spec.preprocessing is not None:
        given = {"mean": spec.preprocessing.mean, "std": spec.preprocessing.std}
        for key, stated in (("mean", checkpoint.mean), ("std", checkpoint.std)):
            if stated and not _alike(given[key], stated):
                notes.append(f"[preprocessing] {key} is {list(given[key])}, {name} says {_rounded(stated)}.")
    return tuple(notes)


def _alike(given: tuple[float, ...], stated: tuple[float, ...]) -> bool:
    """Whether two are the same, one number standing for all channels."""
    most = max(len(given), len(stated))
    pairs = zip(given * most if len(given) == 1 else given, stated * most if len(stated) == 1 else stated, strict=False)
    same_length = len({len(given), len(stated)} - {1}) <= 1
    return same_length and all(math.isclose(one, other, abs_tol=_ALIKE) for one, other in pairs)


def _rounded(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]

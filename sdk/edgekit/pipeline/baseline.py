"""Record the reference: the float model on the server's GPU, or on a CPU where there is none. Needs torch only."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from edgekit.base.memory import Memory
from edgekit.base.progress import Progress, Stages
from edgekit.data import trace
from edgekit.data.trace import Recording, Trace
from edgekit.errors import ToolchainError
from edgekit.execution.eager import Device, Precision, run_float
from edgekit.model import programs
from edgekit.model.source.model_file import load_model
from edgekit.model.together import together
from edgekit.model.weights.stated import completed
from edgekit.pipeline import datasets
from edgekit.spec.project import OpenProject

DeviceChoice = Literal["auto", "cuda", "cpu"]


def record(
    project: OpenProject,
    device: DeviceChoice,
    output: Path | None,
    progress: Progress,
    *,
    precisions: tuple[Precision, ...] = (),
    tf32: bool = False,
) -> tuple[Path, Trace]:
    """Run the float model on the evaluation data and save what it computed, and where.

    Args:
        project: The project.
        device: ``auto`` takes the GPU if there is one.
        output: The file to write; the project's ``baseline.file`` unless given.
        progress: Told about every stage.
        precisions: What to record beside float32, to show the server's own noise.
        tf32: Record float32 with TensorFloat-32 too; the reference is then without it.

    Raises:
        ToolchainError: If a GPU is asked for and there is none.
        SourceError, DataError: If the model or the data cannot be loaded.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ToolchainError(
            f"There is no CUDA device that torch {torch.__version__} can use.",
            hint="Record on the GPU server, or take --device cpu: the report then says so.",
        )
    chosen: Device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if tf32 and chosen == "cpu":
        raise ToolchainError(
            "TensorFloat-32 is a mode of CUDA devices, and the model would run on the CPU.", hint="Leave --tf32 out."
        )
    path = output or project.baseline
    stages = Stages(progress)
    with stages("load") as detail:
        project, program = programs.complete(project)
        project = project if program else completed(project)
        source = load_model(project, program)
        memory = Memory(given=project.spec.build.memory)
        samples = datasets.evaluation_of(project, memory)
        detail.append(f"{source.name}, {len(samples)} samples")
    batch = together(source, samples, memory)
    with stages("run") as detail:
        recorded = run_float(source, samples, device=chosen, batch=batch, tf32=False if tf32 else None, memory=memory)
        detail.append(recorded.origin.place)
    beside: list[Recording] = []
    modes: list[tuple[Precision, bool | None]] = [("float32", True)] if tf32 else []
    modes += [(precision, None) for precision in dict.fromkeys(precisions) if precision != "float32"]
    for precision, allowed in modes:
        with stages(f"run {precision}{' with TF32' if allowed else ''}") as detail:
            other = run_float(
                source, samples, device=chosen, batch=batch, precision=precision, tf32=allowed, memory=memory
            )
            beside.append(Recording(outputs=other.outputs, origin=other.origin))
            detail.append(other.origin.place)
    recorded = replace(recorded, beside=tuple(beside))
    with stages("save") as detail:
        trace.save(recorded, path)
        detail.append(str(path))
    return path, recorded

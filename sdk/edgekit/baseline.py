"""Record the reference: the float model on the server's GPU, or on a CPU where there is none. Needs torch only."""

from pathlib import Path
from typing import Literal

import torch

from edgekit import trace
from edgekit.data import load_samples
from edgekit.errors import ToolchainError
from edgekit.progress import Progress, Stages
from edgekit.project import OpenProject
from edgekit.run.eager import run_float
from edgekit.source.model_file import load_model
from edgekit.trace import Trace

DeviceChoice = Literal["auto", "cuda", "cpu"]


def record(project: OpenProject, device: DeviceChoice, output: Path | None, progress: Progress) -> tuple[Path, Trace]:
    """Run the float model on the evaluation data and save what it computed, and where.

    Args:
        project: The project.
        device: ``auto`` takes the GPU if there is one.
        output: The file to write; the project's ``baseline.file`` unless given.
        progress: Told about every stage.

    Raises:
        ToolchainError: If a GPU is asked for and there is none.
        SourceError, DataError: If the model or the data cannot be loaded.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ToolchainError(
            f"There is no CUDA device that torch {torch.__version__} can use.",
            hint="Record on the GPU server, or take --device cpu: the report then says so.",
        )
    path = output or project.baseline
    stages = Stages(progress)
    with stages("load") as detail:
        source = load_model(project)
        spec = project.spec
        samples = load_samples(project.evaluation, spec.inputs, spec.preprocessing, spec.labels, spec.tensors)
        detail.append(f"{source.name}, {len(samples)} samples")
    with stages("run") as detail:
        chosen: Literal["cuda", "cpu"] = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        recorded = run_float(source, samples, device=chosen, batch=min(source.dimensions.values(), default=1))
        detail.append(recorded.origin.place)
    with stages("save") as detail:
        trace.save(recorded, path)
        detail.append(str(path))
    return path, recorded

"""Which reader a program needs: by what its file is, or by the library whose name it has."""

from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from edgekit.base.filekind import FileKind
from edgekit.base.telling import kind_of
from edgekit.errors import SourceError
from edgekit.model.programs.program import Program
from edgekit.spec.programs import library_of
from edgekit.spec.project import OpenProject

_FILES = "Give a .pt2 archive, TorchScript or an ONNX file, or a module."


def read(project: OpenProject) -> Program:
    """Return the program of a project, whose model is none of the project's own code.

    Raises:
        SourceError: If it cannot be read, or holds what no artifact can compute.
        ToolchainError: If the library that knows its name is not installed.
    """
    model = project.spec.model
    library, name = library_of(model.source), str(model.source).partition(":")[2]
    match library:
        case "timm" | "torchvision":
            from edgekit.model.programs.names import of_name

            weights = None if model.weights is None else project.weights
            return of_name(library, name, model.arguments, weights, model.weights_key)
        case "hf":
            from edgekit.model.programs.huggingface import of_hub

            return of_hub(name, project.root, model.arguments)
    return of_path(project.weights)


def of_path(path: Path) -> Program:
    """Return the program that a file holds.

    Raises:
        SourceError: If it holds none, or one that no artifact can compute.
    """
    match kind := kind_of(path):
        case FileKind.EXPORTED:
            from edgekit.model.programs.archive import load_archive
            from edgekit.model.programs.exported import of_exported

            return of_exported(load_archive(path), f"the exported program {path}")
        case FileKind.TORCHSCRIPT:
            from edgekit.model.programs.script.read import of_file

            return of_file(path)
        case FileKind.ONNX:
            from edgekit.model.programs.onnx.read import of_onnx

            return of_onnx(path)
        case FileKind.HUGGING_FACE:
            from edgekit.model.programs.huggingface import of_folder

            return of_folder(path, f"the Hugging Face folder {path}", {})
        case _:
            raise SourceError(f"{path} is {kind.words}, which holds no network.", hint=kind.hint or _FILES)


def of_object(model: Any) -> Program | None:
    """Return the program that a caller handed over, or None if it is something else, such as a module.

    Args:
        model: A path, a ``torch.export.ExportedProgram`` or a ``torch.jit.ScriptModule``.

    Raises:
        SourceError: As for a file.
    """
    if isinstance(model, str | Path):
        return of_path(Path(model))
    if isinstance(model, ExportedProgram):
        from edgekit.model.programs.exported import of_exported

        return of_exported(model, "the exported program")
    if isinstance(model, torch.jit.ScriptModule):
        from edgekit.model.programs.script.read import of_script

        return of_script(model)
    return None

"""Packages that the networks come from: found, and imported beside the CPU build of torch."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

# What is declared is gone as soon as nobody holds it.
_kept: list[Any] = []


def folder_of(package: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}")
    return Path(found.origin).parent


def imported(name: str) -> ModuleType:
    """Import a package of networks.

    torchvision's wheel is built for CUDA; beside another build of torch its operators are not there, and it cannot be
    imported unless two of them are declared. No network of the zoo calls them.
    """
    if not _kept and importlib.util.find_spec("torchvision") is not None and not _has_nms():
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        for operator in ("nms", "qnms"):
            library.define(f"{operator}{signature}")
        _kept.append(library)
    return importlib.import_module(name)


def _has_nms() -> bool:
    """Say whether torchvision's own operators can be loaded: its import without them fails half way."""
    return torch.version.cuda is not None


def shipped_state(package: str, path: str) -> dict[str, torch.Tensor]:
    """Return the state dict that a package ships."""
    found: dict[str, torch.Tensor] = torch.load(folder_of(package) / path, map_location="cpu", weights_only=True)
    return found

"""Names that timm and torchvision know: the network, its pretrained weights, and how pictures are prepared for it."""

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from edgekit.errors import SourceError, ToolchainError
from edgekit.model.programs.program import Program
from edgekit.model.source.calls import parameters
from edgekit.model.weights import into
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.spec import Preprocessing, Resize, TensorSpec
from edgekit.spec.dimensions import BATCH
from edgekit.spec.schema import did_you_mean

_OFFLINE = "Give a file of weights under [model], or run once where the library can download them."
_kept: list[Any] = []  # an operator is gone with the library object that declared it


def of_name(
    library: str, name: str, arguments: Mapping[str, Any], weights: Path | None, key: str | None = None
) -> Program:
    """Return a network that a library makes by name.

    Args:
        library: ``timm`` or ``torchvision``.
        name: The name of the network.
        arguments: Keyword arguments for the library's function.
        weights: A file with weights; the library's pretrained ones unless given.
        key: Which state dict of the file.

    Raises:
        ToolchainError: If the library is not installed.
        SourceError: If it has no network of the name, cannot make it, or cannot get the weights.
    """
    module = imported(library)
    known: list[str] = module.list_models() if library == "timm" else module.models.list_models()
    base = name.partition(".")[0] if library == "timm" else name
    if base not in known:
        raise SourceError(
            f"{library} {module.__version__} has no network {name}{did_you_mean(base, known)}.",
            hint="Correct model.source.",
        )
    make = _maker(module, library, name)
    notes: tuple[str, ...] = ()
    if weights is None:
        try:
            model = make(pretrained=True, **arguments)
        except Exception as error:  # each library, and the one that downloads, raises its own
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise SourceError(
                f"{library}:{name} and its pretrained weights cannot be had: {reason}", hint=_OFFLINE
            ) from error
    else:
        checkpoint = read_checkpoint(weights, key)
        loaded = into.load(checkpoint, lambda values: _made(make, f"{library}:{name}", values), make, arguments)
        model, notes = loaded.model, loaded.notes
    steps, labels = _prepared(model, library, name, module)
    first = parameters(name, model)[0].name
    shape = (BATCH, steps.channels, steps.resize.height, steps.resize.width)
    return Program(
        module=model,
        origin=f"{library}:{name}",
        names=(first,),
        inputs=(TensorSpec(name=first, shape=shape, meaning="image"),),
        binding=False,
        labels=labels if weights is None else (),
        preprocessing=steps,
        notes=(*notes, f"{library}:{name} is that of {library} {module.__version__}."),
    )


def imported(library: str) -> ModuleType:
    """Import a library of models.

    Raises:
        ToolchainError: If it is not installed.
    """
    if importlib.util.find_spec(library) is None:
        raise ToolchainError(f"{library} is not installed.", hint=f'pip install "edgekit[{library}]"')
    declare_operators()
    return importlib.import_module(library)


def declare_operators() -> None:
    """Let torchvision be imported beside a torch for CPUs, if its own wheel is one for CUDA.

    Its operators are then not there, and it wants two of them on import; no classifier calls them.
    """
    if _kept or sys.platform != "linux" or torch.version.cuda is not None:
        return
    if importlib.util.find_spec("torchvision") is None or "+cpu" in importlib.metadata.version("torchvision"):
        return
    declared: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(declared)


def _maker(module: ModuleType, library: str, name: str) -> Callable[..., nn.Module]:
    def make(*, pretrained: bool = False, **arguments: Any) -> nn.Module:
        if library == "timm":
            made = module.create_model(name, pretrained=pretrained, **arguments)
        else:
            made = module.models.get_model(name, weights="DEFAULT" if pretrained else None, **arguments)
        assert isinstance(made, nn.Module)
        return made

    return make


def _made(make: Callable[..., nn.Module], origin: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return make(**arguments)
    except Exception as error:  # anything may be raised by a library
        raise SourceError(f"{origin} cannot be made: {error}", hint="Correct model.arguments.") from error


def _prepared(model: nn.Module, library: str, name: str, module: ModuleType) -> tuple[Preprocessing, tuple[str, ...]]:
    """Return how the library prepares pictures for a network, and the names of its classes."""
    mean, std, size, shorter, mode = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224, 256, "bilinear"
    labels: tuple[str, ...] = ()
    if library == "timm":
        found: Any = module.data.resolve_model_data_config(model)
        mean, std, mode = tuple(found["mean"]), tuple(found["std"]), str(found["interpolation"])
        size = int(found["input_size"][-1])
        shorter = int(size / found["crop_pct"])
    else:
        weights: Any = getattr(module.models.get_model_weights(name), "DEFAULT", None)
        if weights is not None:
            steps = weights.transforms()
            labels = tuple(weights.meta.get("categories") or ())
            size = steps.crop_size[0] if hasattr(steps, "crop_size") else size
            shorter = steps.resize_size[0] if hasattr(steps, "resize_size") else shorter
            mean, std = tuple(getattr(steps, "mean", mean)), tuple(getattr(steps, "std", std))
            mode = str(getattr(getattr(steps, "interpolation", None), "value", mode))
    resize = Resize(height=size, width=size, mode="shorter", shorter=max(shorter, size), filter=_filter(mode))
    return Preprocessing(resize=resize, mean=mean, std=std), labels


def _filter(mode: str) -> Any:
    return mode if mode in ("nearest", "bilinear", "bicubic") else "bilinear"

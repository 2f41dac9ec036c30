"""The model of a project: import its Python file, call its function, load its weights."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgekit.errors import SourceError
from edgekit.model.program import Source
from edgekit.model.source.module import source_from_module
from edgekit.spec.project import OpenProject
from edgekit.spec.schema import did_you_mean
from edgekit.spec.usercode import contained, importable, load_function, place

_SHOWN = 10


def load_model(project: OpenProject) -> Source:
    """Make the project's model, with its weights, in eval mode.

    Raises:
        SourceError: If the Python file fails, the weights do not fit, or the model returns other than is declared.
    """
    spec = project.spec
    file, function = project.source
    with importable(file.parent):
        model = _build(file, function, dict(spec.model.arguments))
    _load_weights(model, project.weights)
    return source_from_module(
        spec.model.name,
        model,
        spec.inputs,
        spec.tensors,
        spec.sizes,
        labels=spec.labels,
        preprocessing=spec.preprocessing,
    )


def _build(file: Path, function: str, arguments: dict[str, object]) -> nn.Module:
    build = load_function(file, function, key="model.source", error=SourceError)
    try:
        with contained():
            model = build(**arguments)
    except Exception as error:  # anything may be raised by a person's code
        raise SourceError(f"{function} in {place(file, error)}", hint="Correct it, or model.arguments.") from error
    if not isinstance(model, nn.Module):
        raise SourceError(
            f"{function} in {file} returns a {type(model).__name__}, no torch.nn.Module.",
            hint="Return the model; EdgeKit loads its weights.",
        )
    return model


def _load_weights(model: nn.Module, path: Path) -> None:
    weights = _read_weights(path)
    state = {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    # safetensors stores a tensor that two modules share once; where one of its names is present, it is complete.
    shared = {state[key].data_ptr() for key in weights if key in state and state[key].numel()}
    missing = [key for key in state if key not in weights and state[key].data_ptr() not in shared]
    unexpected = [key for key in weights if key not in state]
    faults = [f"missing: {key}{did_you_mean(key, unexpected)}" for key in missing[:_SHOWN]]
    faults += [f"unexpected: {key}{did_you_mean(key, missing)}" for key in unexpected[:_SHOWN]]
    if (more := len(missing) + len(unexpected) - len(faults)) > 0:
        faults.append(f"and {more} more")
    faults += [
        f"{key}: shape {tuple(weights[key].shape)}, the model has {tuple(state[key].shape)}"
        for key in state
        if key in weights and weights[key].shape != state[key].shape
    ][:_SHOWN]
    if faults:
        raise SourceError(
            f"{path} does not fit the model:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="Check model.source and model.arguments, or save model.state_dict() again.",
        )
    model.load_state_dict(weights, strict=False)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        match path.suffix:
            case ".safetensors":
                return load_file(path)
            case ".pt" | ".pth":
                loaded = torch.load(path, map_location="cpu", weights_only=True)
            case _:
                raise SourceError(f"{path} is no .safetensors, .pt or .pth file.", hint="Correct model.weights.")
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise SourceError(f"{path} cannot be read: {error}", hint="Save model.state_dict() again.") from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        inside = ", ".join(map(str, loaded)) if isinstance(loaded, dict) else type(loaded).__name__
        raise SourceError(f"{path} is no state dict; it holds {inside}.", hint="Save model.state_dict() alone.")
    return loaded

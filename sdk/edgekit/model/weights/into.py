"""Make a project's model and put a file's weights into it: all of them, or an error that says what does not fit."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import EdgeKitError, SourceError
from edgekit.model.weights import judge
from edgekit.model.weights.checkpoint import Checkpoint
from edgekit.model.weights.fit import Fit, Wanted, fitted, report
from edgekit.model.weights.guess import accepts, changed_arguments
from edgekit.model.weights.state import Described, State
from edgekit.model.weights.values import printable

Build = Callable[[dict[str, Any]], nn.Module]
# What a training script passes on but a model that gets its weights from a file has no use for, or would download.
_NOT_FED = ("pretrained", "weights", "checkpoint", "checkpoint_path", "ckpt_path", "device", "path")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model with its weights."""

    model: nn.Module
    notes: tuple[str, ...]
    """What was done to make them fit."""


def load(checkpoint: Checkpoint, build: Build, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Loaded:
    """Make the model and load the checkpoint's weights into it.

    Args:
        checkpoint: The weights.
        build: Makes the model with keyword arguments.
        function: What `build` calls.
        arguments: What the project says. What the checkpoint says of other parameters of the function is taken, too.

    Raises:
        SourceError: If the model cannot be made, or the weights do not fit it: with what is missing, unexpected and of
            another shape by module and, where one explains it, the argument that it was made with.
    """
    fed = {
        name: value
        for name, value in checkpoint.arguments.items()
        if name not in arguments and name not in _NOT_FED and _takes(function, name, value)
    }
    model, fed, notes = _made(build, arguments, fed, checkpoint)
    fits = _fits(checkpoint, model)
    if fed and all(fit.faults for fit in fits.values()):  # perhaps what it says is of something else
        plain = build(dict(arguments))
        other = _fits(checkpoint, plain)
        if any(not fit.faults for fit in other.values()):
            model, fits, fed = plain, other, {}
    if fed:
        notes = (*notes, f"{checkpoint.path.name} says how the model was made: {_toml(fed)}.")
    key = _key(checkpoint, fits)
    if fits[key].faults:
        raise _refusal(checkpoint, key, fits[key], build, function, {**fed, **arguments})
    if key:
        notes = (*notes, f"The weights are those under {printable(key)} in {checkpoint.path.name}.")
    return Loaded(model=model, notes=(*checkpoint.notes, *notes, *_fill(checkpoint, key, fits[key], model)))


def wanted(model: nn.Module) -> Wanted:
    """Return what a model wants to be given."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    places = {
        name: (value.data_ptr() if value.numel() else 0) or -number - 1
        for number, (name, value) in enumerate(state.items())
    }
    return Wanted(
        tensors={name: _described(value) for name, value in state.items()},
        shared=places,
        temporary={name: tuple(value.shape) for name, value in model.named_buffers() if name not in state},
    )


def _described(tensor: Tensor) -> Described:
    return Described(shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))


def _takes(function: Callable[..., Any], name: str, value: Any) -> bool:
    """Whether a function has a parameter of a name whose default is of the value's kind, or that has none."""
    if not accepts(function, name):
        return False
    default = inspect.signature(function).parameters[name].default
    if default is inspect.Parameter.empty or default is None:
        return True
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple)
    numbers = isinstance(default, int | float) and isinstance(value, int | float)
    return isinstance(value, type(default)) or (numbers and isinstance(value, bool) is isinstance(default, bool))


def _made(
    build: Build, arguments: Mapping[str, Any], fed: dict[str, Any], checkpoint: Checkpoint
) -> tuple[nn.Module, dict[str, Any], tuple[str, ...]]:
    try:
        return build({**fed, **arguments}), fed, ()
    except EdgeKitError:
        if not fed:
            raise
    model = build(dict(arguments))
    return model, {}, (f"The model cannot be made as {checkpoint.path.name} says: {_toml(fed)}.",)


def _fits(checkpoint: Checkpoint, model: nn.Module) -> dict[str, Fit]:
    want = wanted(model)
    return {key: fitted(state, want) for key, state in checkpoint.states.items()}


def _key(checkpoint: Checkpoint, fits: Mapping[str, Fit]) -> str:
    """Return the key of the state dict that fits, or that fits least badly."""
    good = [key for key, fit in fits.items() if not fit.faults]
    if len(good) > 1:
        names = ", ".join(printable(key) or '""' for key in good)
        raise SourceError(
            f"{checkpoint.path} holds {len(good)} state dicts that fit the model: {names}.",
            hint=f'Say which under [model]: weights_key = "{printable(good[0])}".',
        )
    return good[0] if good else min(fits, key=lambda key: (fits[key].faults, -len(fits[key].names)))


def _refusal(
    checkpoint: Checkpoint, key: str, fit: Fit, build: Build, function: Callable[..., Any], arguments: dict[str, Any]
) -> SourceError:
    state = checkpoint.states[key]

    def fits(changes: dict[str, Any]) -> Fit | None:
        try:
            return fitted(state, wanted(build({**arguments, **changes})))
        except EdgeKitError:
            return None

    where = f"{checkpoint.path}" + (f", {printable(key)}," if key else "")
    text = f"{where} does not fit the model:\n{report(fit)}"
    if odd := {name: what for name, what in state.others.items() if name in fit.missing}:
        text += "".join(f"\n  - {printable(name)} is a {what}, no plain tensor" for name, what in list(odd.items())[:3])
    changes = changed_arguments(fit, state, function, arguments, fits)
    if changes:
        return SourceError(
            f"{text}\nThe model fits that {function.__name__} makes with {_toml(changes)}.",
            hint=f"Write under [model]: arguments = {{ {_toml({**arguments, **changes})} }}. On the command line: "
            + " ".join(f"--argument {name}={value}" for name, value in changes.items()),
        )
    hint = "Check model.source and model.arguments, or save model.state_dict() again."
    return SourceError(text, hint=hint)


def _fill(checkpoint: Checkpoint, key: str, fit: Fit, model: nn.Module) -> tuple[str, ...]:
    state: State = checkpoint.states[key]
    want = wanted(model)
    have = {own: state.tensors[name] for name, own in fit.names.items()}
    where = checkpoint.path.name
    converted = judge.types(str(checkpoint.path), have, want.tensors)
    loaded = state.load()
    tensors = {own: loaded[name] for name, own in fit.names.items()}
    _check_shared(checkpoint, tensors, want)
    seen = judge.values(
        str(checkpoint.path), tensors, (name for name, _ in model.named_parameters(remove_duplicate=False))
    )
    try:
        with torch.no_grad():
            model.load_state_dict(tensors, strict=False)
    except Exception as error:  # a module may have a way of its own to load
        raise SourceError(
            f"{checkpoint.path} cannot be loaded into the model: {type(error).__name__}: {error}",
            hint="Correct the model's way of loading a state dict.",
        ) from error
    dropped = tuple(
        f"{where} holds {', '.join(map(printable, list(state.others)[:6]))} beside the weights, which were left out."
        for _ in [0]
        if state.others
    )
    return (*fit.notes, *converted, *seen, *dropped)


def _check_shared(checkpoint: Checkpoint, tensors: Mapping[str, Tensor], want: Wanted) -> None:
    """Refuse two tensors for one: the last would win, and nobody would know."""
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        other = first.setdefault(want.shared[name], name)
        if other != name and not torch.equal(tensors[other], tensor):
            raise SourceError(
                f"{printable(other)} and {printable(name)} are one tensor in the model and two in {checkpoint.path}.",
                hint="Make the model as it was trained: without the tie, or save the weights with it.",
            )


def _toml(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in arguments.items())

"""Unpickle a file and write the weights in it as safetensors. Runs what the file says: only in a process of its own."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekit.errors import EdgeKitError, SourceError
from edgekit.model.source.own import unwrapped
from edgekit.spec.usercode import load_function

_LONGEST = 500
_DEPTH = 2


def converted(facts: Any, network: str) -> dict[str, str]:
    """Write the weights of a file to another.

    Args:
        network: ``off`` or ``on``, to be written down.
        facts: ``path``, ``output``, ``folders`` to import from, ``source`` and ``function`` that make the model, the
            ``key`` of the model in the file or ``""``, and ``metadata`` to write.

    Returns:
        The ``kind`` of what was in it, or the ``error``.
    """
    sys.path.extend(facts["folders"])
    try:
        if facts["source"]:
            _as_main(Path(facts["source"]), facts["function"])
        kind, state = _chosen(dict(_models(_loaded(Path(facts["path"])))), facts["key"])
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
        origin = {**facts["metadata"], "kind": kind, "network": network}
        save_file(plain, facts["output"], metadata={"edgekit": json.dumps(origin)})
    except EdgeKitError as error:
        return {"error": error.message}
    except BaseException as error:  # whatever it runs, SystemExit among it
        return {"error": f"{type(error).__name__}: {error}"[:_LONGEST]}
    return {"kind": kind}


def _as_main(source: Path, function: str) -> None:
    """Let classes be found that a script defined, whose pickles call it ``__main__``."""
    load_function(source, function, key="model.source", error=SourceError)
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(source):
            vars(sys.modules["__main__"]).update({key: one for key, one in vars(module).items() if key[:2] != "__"})


def _loaded(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except pickle.UnpicklingError:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - what this process is for


def _models(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, tuple[str, dict[str, Tensor]]]]:
    """Yield the state of each module and each state dict in a value, with its key and its kind."""
    value = unwrapped(value)
    if isinstance(value, nn.Module):
        state = {name: one for name, one in value.state_dict().items() if isinstance(one, Tensor)}
        home = type(value).__module__
        home = "__main__" if home.startswith("edgekit_") else home  # the name that `load_function` gives a file
        yield key, (f"{home}.{type(value).__qualname__}", state)
    elif isinstance(value, dict) and "param_groups" not in value:
        tensors = {name: one for name, one in value.items() if isinstance(name, str) and isinstance(one, Tensor)}
        if tensors and len(tensors) * 2 > len(value) - 1:
            yield key, ("state dict", tensors)
        elif depth < _DEPTH:
            for name, one in value.items():
                yield from _models(one, f"{key}.{name}" if key else str(name), depth + 1)


def _chosen(models: dict[str, tuple[str, dict[str, Tensor]]], key: str) -> tuple[str, dict[str, Tensor]]:
    if key:
        if key not in models:
            raise SourceError(f"it has nothing under {key}; it has {', '.join(models) or 'no model'}")
        return models[key]
    if len(models) != 1:
        several = f"it holds several: {', '.join(models)}. Say which with weights_key under [model]"
        raise SourceError(several if models else "it holds no model and no state dict")
    return next(iter(models.values()))

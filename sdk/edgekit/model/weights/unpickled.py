"""Unpickle a file, write the weights in it as safetensors and a whole model as a program.

Runs what the file says: only in a process of its own.
"""

import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekit.base.filekind import FileKind
from edgekit.errors import EdgeKitError, SourceError
from edgekit.model.programs.program import MOST_BATCH
from edgekit.model.source.own import own_copy, unwrapped
from edgekit.model.source.trial import find_inputs
from edgekit.model.weights.trust import Example
from edgekit.spec.usercode import load_function

_LONGEST = 500
_DEPTH = 2


class Unpickled:
    """The model in a file, once it is loaded."""

    def __init__(self, network: str) -> None:
        """Begin without one; the network is ``off`` or ``on``, to be written down."""
        self._network = network
        self._facts: Any = {}
        self._module: nn.Module | None = None

    def converted(self, facts: Any) -> dict[str, str]:
        """Write the weights of a file to another.

        Args:
            facts: ``path`` and ``kind``, ``output``, ``folders`` to import from, ``source`` and ``function`` that make
                the model or ``""``, the ``key`` of the model in the file or ``""``, ``metadata`` to write, and
                ``program`` and ``example`` for what comes next.

        Returns:
            The ``kind`` of what was in it, or the ``error``.
        """
        sys.path.extend(facts["folders"])
        self._facts = facts
        try:
            if facts["source"]:
                _as_main(Path(facts["source"]), facts["function"])
            found = _chosen(dict(_models(_loaded(Path(facts["path"]), facts["kind"]))), facts["key"])
            self._module = found.module
            plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in found.state.items()}
            origin = {**facts["metadata"], "kind": found.kind, "network": self._network}
            save_file(plain, facts["output"], metadata={"edgekit": json.dumps(origin)})
        except BaseException as error:  # whatever it runs, SystemExit among it
            return _failed(error)
        return {"kind": found.kind}

    def exported(self) -> dict[str, str]:
        """Write the program of a whole model to ``program``; returns the ``error`` if there is one."""
        if self._module is None:
            return {"error": "it holds weights alone, no whole model"}
        try:
            example = TypeAdapter(Example).validate_json(self._facts["example"])
            program = _program(self._module, example)
            origin = json.dumps({**self._facts["metadata"], "network": self._network})
            torch.export.save(program, self._facts["program"], extra_files={"edgekit": origin})
        except BaseException as error:  # anything may be raised by a model
            return _failed(error)
        return {}


def _failed(error: BaseException) -> dict[str, str]:
    if isinstance(error, EdgeKitError):
        return {"error": error.message}
    return {"error": f"{type(error).__name__}: {error}"[:_LONGEST]}


def _program(module: nn.Module, example: Example) -> torch.export.ExportedProgram:
    """Export a model, with a batch that varies where it can."""
    name = type(module).__name__
    own = own_copy(name, module)
    given = find_inputs(name, own, example.shapes, example.seen, Path(name)).example
    batch = torch.export.Dim("batch", min=1, max=MOST_BATCH)
    try:
        two = tuple(torch.cat([one, one]) for one in given)
        return torch.export.export(own, two, dynamic_shapes=tuple({0: batch} for _ in two))
    except Exception:  # a model of one sample alone, for one reason of many
        return torch.export.export(own, given)


def _as_main(source: Path, function: str) -> None:
    """Let classes be found that a script defined, whose pickles call it ``__main__``."""
    load_function(source, function, key="model.source", error=SourceError)
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(source):
            vars(sys.modules["__main__"]).update({key: one for key, one in vars(module).items() if key[:2] != "__"})


def _loaded(path: Path, kind: str) -> Any:
    if kind != FileKind.PICKLE:
        return torch.load(path, map_location="cpu", weights_only=False)
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - what this process is for


@dataclass(frozen=True, kw_only=True)
class _Model:
    kind: str
    state: dict[str, Tensor]
    module: nn.Module | None = None


def _models(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, _Model]]:
    """Yield each module and each state dict in a value, with its key."""
    value = unwrapped(value)
    if isinstance(value, nn.Module):
        state = {name: one for name, one in value.state_dict().items() if isinstance(one, Tensor)}
        home = type(value).__module__
        home = "__main__" if home.startswith("edgekit_") else home  # the name that `load_function` gives a file
        yield key, _Model(kind=f"{home}.{type(value).__qualname__}", state=state, module=value)
    elif isinstance(value, dict) and "param_groups" not in value:
        tensors = {
            name: one for name, own in value.items() if isinstance(name, str) and (one := _tensor(own)) is not None
        }
        if tensors and len(tensors) * 2 > len(value) - 1:
            yield key, _Model(kind="state dict", state=tensors)
        elif depth < _DEPTH:
            for name, one in value.items():
                yield from _models(one, f"{key}.{name}" if key else str(name), depth + 1)


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(value)
    return value if isinstance(value, Tensor) else None


def _chosen(models: dict[str, _Model], key: str) -> _Model:
    if key:
        if key not in models:
            raise SourceError(f"it has nothing under {key}; it has {', '.join(models) or 'no model'}")
        return models[key]
    if len(models) != 1:
        several = f"it holds several: {', '.join(models)}. Say which with weights_key under [model]"
        raise SourceError(several if models else "it holds no model and no state dict")
    return next(iter(models.values()))

"""What a file of weights holds: the state dicts in it, and what stands beside them. Needs no torch, runs nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.base.filekind import FileKind
from edgekit.base.telling import kind_of
from edgekit.base.zips import ZipError
from edgekit.errors import SourceError
from edgekit.model.weights import beside, danger, shards, torchfile
from edgekit.model.weights.state import Described, State
from edgekit.model.weights.torchfile import TorchFile
from edgekit.model.weights.values import PickleError, StoredTensor, Unmade, printable
from edgekit.spec.schema import did_you_mean

_DEPTH = 5
_SHOWN = 8
# What is no part of a model, though it holds tensors.
_ASIDE = ("optim", "scheduler", "scaler", "callback", "loops", "rng", "random_state", "amp", "ddp", "grad_")
_IN_FOLDERS = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin")
_AGAIN = "Save model.state_dict() again."
_ITSELF = "It holds the network itself: leave model.source out."


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file of weights holds."""

    path: Path
    kind: FileKind
    states: Mapping[str, State]
    """The state dicts, by their key: ``""`` where the file is one, ``"ema.state_dict"`` where it lies in tables."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the model was made with, as a training script wrote it down: plain values by name."""
    labels: tuple[str, ...] = ()
    """Names of the classes."""
    mean: tuple[float, ...] = ()
    """Of each channel, as the training script wrote it down."""
    std: tuple[float, ...] = ()
    """Of each channel."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Accuracies and the like, by the name they have there."""
    notes: tuple[str, ...] = ()
    """What a reader of the report must know."""

    @property
    def key(self) -> str:
        """The key of the only state dict.

        Raises:
            SourceError: If there are several.
        """
        if len(self.states) > 1:
            raise SourceError(
                f"{self.path} holds several state dicts: {', '.join(map(printable, self.states))}.",
                hint=f'Say which with weights_key under [model]: weights_key = "{printable(next(iter(self.states)))}".',
            )
        return next(iter(self.states))

    @property
    def state(self) -> State:
        """The only state dict; raises as `key` does."""
        return self.states[self.key]


def read_checkpoint(path: Path, key: str | None = None) -> Checkpoint:
    """Read a file of weights, or a folder with one: state dict, training checkpoint or inference package.

    Args:
        path: The file.
        key: Which of its state dicts to take, ``"a.b"`` of one that lies in tables; all that are there unless given.

    Raises:
        SourceError: If it is something else, is damaged, or would run code when it is loaded.
    """
    path = _in_folder(path)
    kind = kind_of(path)
    try:
        match kind:
            case FileKind.SAFETENSORS:
                return _chosen(_of_safetensors(path), key)
            case FileKind.SHARDS:
                return _chosen(Checkpoint(path=path, kind=kind, states={"": shards.of_index(path, _shard)}), key)
            case FileKind.TORCH:
                return _of_torch(torchfile.read_zip(path), kind, key)
            case FileKind.TORCH_LEGACY:
                return _of_torch(torchfile.read_legacy(path), kind, key)
            case FileKind.EXPORTED | FileKind.TORCHSCRIPT | FileKind.ONNX | FileKind.HUGGING_FACE:
                raise SourceError(f"{path} is {kind.words}, no state dict.", hint=_ITSELF)
            case _:
                raise SourceError(f"{path} is {kind.words}, no state dict.", hint=kind.hint or _AGAIN)
    except (PickleError, ZipError, shards.HeaderError, OSError) as error:
        raise SourceError(f"{path} cannot be read: {error}.", hint=_AGAIN) from error


def _in_folder(path: Path) -> Path:
    if path.is_dir():
        return next((path / name for name in _IN_FOLDERS if (path / name).is_file()), path)
    return path


def _shard(path: Path) -> State:
    if kind_of(path) is FileKind.SHARDS:
        raise shards.HeaderError(f"it names {printable(path.name)}, which is an index itself")
    return read_checkpoint(path).state


def _of_safetensors(path: Path) -> Checkpoint:
    origin = shards.origin_of(path)
    network = "without" if origin.get("network") == "off" else "with"
    notes = (
        f"The weights were unpickled from {printable(origin['from'])} ({printable(origin.get('kind', ''))}), which "
        f"somebody trusted, in a process {network} network.",
    ) if "from" in origin else ()  # fmt: skip
    state = shards.of_safetensors(path)
    return Checkpoint(path=path, kind=FileKind.SAFETENSORS, states={"": state}, notes=notes)


def _of_torch(file: TorchFile, kind: FileKind, key: str | None) -> Checkpoint:
    danger.refuse(file)
    states = {place: _state(file, table) for place, table in _tables(file.value)}
    if not states:
        raise SourceError(f"{file.path} holds no state dict; it holds {_inside(file.value)}.", hint=_AGAIN)
    found = beside.of_tree(file.value, file)
    made = dict.fromkeys(str(one) for one in file.globals if not danger.is_plain(one))
    notes = (f"{file.path.name} names {', '.join(list(made)[:_SHOWN])}; nothing of it was run.",) if made else ()
    whole = Checkpoint(path=file.path, kind=kind, states=states, notes=notes, **found)
    return _chosen(whole, key)


def _chosen(checkpoint: Checkpoint, key: str | None) -> Checkpoint:
    if key is None:
        return checkpoint
    if key not in checkpoint.states:
        known = ", ".join(printable(one) or '""' for one in checkpoint.states)
        raise SourceError(
            f"{checkpoint.path} has no state dict {key}{did_you_mean(key, checkpoint.states)}; it has {known}.",
            hint="Correct model.weights_key.",
        )
    return Checkpoint(**{**vars(checkpoint), "states": {key: checkpoint.states[key]}})


def _tables(tree: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tables that are state dicts, with their key; what is in two places is yielded once."""
    waiting: list[tuple[str, Any, int]] = [("", tree, 0)]
    seen: set[int] = set()
    while waiting:
        key, value, depth = waiting.pop(0)
        table = value.mapping if isinstance(value, Unmade) else value
        if not isinstance(table, dict) or id(value) in seen or "param_groups" in table or danger.is_module(value):
            continue
        seen.add(id(value))
        below = [(name, one) for name, one in table.items() if isinstance(one, dict | Unmade)]
        tensors = sum(isinstance(one, StoredTensor) for one in table.values())
        named = all(isinstance(name, str) for name in table)
        if named and tensors and tensors * 2 > len(table) - 1 and not any(isinstance(one, dict) for _, one in below):
            yield key, table
        elif depth < _DEPTH:
            waiting += [
                (f"{key}.{name}" if key else name, one, depth + 1)
                for name, one in below
                if isinstance(name, str) and not name.lower().startswith(_ASIDE)
            ]


def _state(file: TorchFile, table: dict[str, Any]) -> State:
    tensors = {name: value for name, value in table.items() if isinstance(value, StoredTensor)}
    described = {
        name: Described(shape=value.shape, dtype=value.dtype, quantized=value.quantized)
        for name, value in tensors.items()
    }
    others = {name: _what(value) for name, value in table.items() if name not in tensors}
    from edgekit.model.weights import tensors as numbers

    return State(tensors=described, others=others, load=partial(numbers.of_torch, file, tensors))


def _what(value: Any) -> str:
    return str(value.call) if isinstance(value, Unmade) else type(value).__name__


def _inside(value: Any) -> str:
    if isinstance(value, dict):
        names = [printable(str(name)) for name in list(value)[: _SHOWN + 1]]
        return ", ".join(names[:_SHOWN] + ["..."] * (len(names) > _SHOWN)) or "nothing"
    return f"a {_what(value)}"

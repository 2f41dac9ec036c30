"""Models of Hugging Face: a name on the hub or a folder, made by transformers; code that lies there is never run."""

import importlib.util
import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import SourceError, ToolchainError
from edgekit.model.programs.names import declare_operators
from edgekit.model.programs.program import Program
from edgekit.spec import Dimension, TensorSpec
from edgekit.spec.dimensions import BATCH

_FILES = ["*.json", "*.safetensors"]
_PICKLED = ["*.json", "pytorch_model*.bin"]
_LENGTH = 128


class FromHub(nn.Module):
    """Calls a model of transformers with tensors by name, and returns the tensors of its output by name."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *given: Tensor) -> Any:
        """Return what a ``ModelOutput`` holds, without caches."""
        found = self.model(**dict(zip(self.names, given, strict=True)), return_dict=True)
        kept = {key: value for key, value in found.items() if isinstance(value, Tensor | tuple)}
        return {key: value for key, value in kept.items() if key not in ("past_key_values", "loss")}


def of_hub(source: str, root: Path, arguments: Mapping[str, Any]) -> Program:
    """Return the model of ``OWNER/NAME``, ``OWNER/NAME@REVISION`` or ``./FOLDER``.

    Args:
        source: What stands behind ``hf:``.
        root: The folder that paths start from.
        arguments: Changes to the model's configuration.

    Raises:
        ToolchainError: If transformers or huggingface_hub is not installed.
        SourceError: If it cannot be had, needs code of its own, or has no safe weights.
    """
    if source.startswith((".", "/", "~")):
        return of_folder((root / source).expanduser(), f"hf:{source}", arguments)
    folder, revision = download(source)
    return of_folder(folder, f"hf:{source}", arguments, (f"hf:{source} is revision {revision}.",))


def download(source: str) -> tuple[Path, str]:
    """Return the folder of a model in the hub's cache, fetched if need be, and its revision.

    Raises:
        ToolchainError, SourceError: As `of_hub`.
    """
    _require("huggingface_hub")
    import huggingface_hub

    name, _, revision = source.partition("@")
    try:
        found = Path(huggingface_hub.snapshot_download(name, revision=revision or None, allow_patterns=_FILES))
        if not list(found.glob("*.safetensors")):
            found = Path(huggingface_hub.snapshot_download(name, revision=revision or None, allow_patterns=_PICKLED))
    except Exception as error:  # the library, and the one below it, raise a dozen classes
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        offline = " HF_HUB_OFFLINE is set." if os.environ.get("HF_HUB_OFFLINE") else ""
        raise SourceError(
            f"hf:{source} cannot be had: {reason}",
            hint=f"Is the name right, the model public or HF_TOKEN set?{offline} A folder does as well: hf:./FOLDER.",
        ) from error
    return found, found.name


def of_folder(folder: Path, origin: str, arguments: Mapping[str, Any], notes: tuple[str, ...] = ()) -> Program:
    """Return the model of a folder with ``config.json`` and weights.

    Raises:
        ToolchainError, SourceError: As `of_hub`.
    """
    config = _config(folder, origin)
    _require("transformers")
    declare_operators()
    import transformers

    names = config.get("architectures") or []
    kind = getattr(transformers, names[0], None) if names else transformers.AutoModel
    if kind is None:
        raise SourceError(
            f"{origin} is a {names[0]}, which transformers {transformers.__version__} does not have: its code lies "
            "beside it and is not run.",
            hint="Make the model in a Python file of your own, with model.source and model.weights.",
        )
    pickled = not list(folder.glob("*.safetensors"))
    try:
        model = kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=not pickled, weights_only=True,
            dtype=torch.float32, attn_implementation="eager", **arguments,
        )  # fmt: skip
    except Exception as error:  # anything may be raised by a library
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise SourceError(f"{origin} cannot be loaded: {reason}", hint="Download it again, or save it anew.") from error
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False
    inputs, dimensions = _inputs(origin, model)
    module = _named(FromHub(model, tuple(spec.name for spec in inputs)))
    return Program(
        module=module,
        origin=origin,
        inputs=inputs,
        dimensions=dimensions,
        binding=False,
        labels=_labels(model),
        notes=notes,
    )


def _config(folder: Path, origin: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{origin} has no config.json that can be read: {error}", hint="Correct the path.") from error
    if not isinstance(found, dict):
        raise SourceError(f"{origin}: config.json is no table.", hint="Download it again.")
    return found


def _require(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        raise ToolchainError(f"{library} is not installed.", hint='pip install "edgekit[hf]"')


def _inputs(origin: str, model: Any) -> tuple[tuple[TensorSpec, ...], dict[str, Dimension | None]]:
    """Return what goes in: pictures of the size that the configuration says, or tokens with their mask."""
    config, main = model.config, model.main_input_name
    taken = inspect.signature(model.forward).parameters
    if main == "pixel_values":
        size = getattr(config, "image_size", None) or 224
        height, width = size if isinstance(size, list | tuple) else (size, size)
        shape = (BATCH, getattr(config, "num_channels", 3), height, width)
        return (TensorSpec(name=main, shape=shape, meaning="image"),), {}
    if main == "input_ids":
        names = [name for name in ("input_ids", "attention_mask") if name in taken]
        specs = tuple(TensorSpec(name=name, dtype="int64", shape=(BATCH, "length")) for name in names)
        most = getattr(config, "max_position_embeddings", _LENGTH) or _LENGTH
        return specs, {"length": Dimension(max=min(_LENGTH, most))}
    if main == "input_values":
        return (TensorSpec(name=main, shape=(BATCH, "length")),), {"length": None}
    raise SourceError(f"{origin} takes {main}, which EdgeKit does not know.", hint="Write [[inputs]] for it.")


def _labels(model: Any) -> tuple[str, ...]:
    found = getattr(model.config, "id2label", None) or {}
    usual = all(str(label) == f"LABEL_{number}" for number, label in found.items())
    return () if usual else tuple(str(found[number]) for number in sorted(found))


def _named(module: FromHub) -> FromHub:
    """Give a module a ``forward`` whose signature names its inputs."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def forward(self: FromHub, *given: Tensor) -> Any:
        return FromHub.forward(self, *given)

    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in ("self", *module.names)]
    )
    module.__class__ = type(type(module.model).__name__, (FromHub,), {"forward": forward, "__module__": __name__})
    return module

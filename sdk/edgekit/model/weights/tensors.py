"""The numbers of weights as torch tensors: views of the file, which is mapped and not read."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgekit.errors import SourceError
from edgekit.model.weights.torchfile import ITEM_BYTES, Place, TorchFile, content
from edgekit.model.weights.values import StoredTensor, printable

Tensors = Mapping[str, Tensor]
_ALIGNED = 16


def of_safetensors(path: Path) -> Tensors:
    """Return the tensors of a ``.safetensors`` file, which the library maps.

    Raises:
        SourceError: If the library finds it damaged.
    """
    try:
        found: Tensors = load_file(path)
    except Exception as error:  # whatever the bytes: the library raises errors of its own and of torch
        raise SourceError(f"{path} cannot be read: {error}"[:300], hint="Save model.state_dict() again.") from error
    return found


def of_torch(file: TorchFile, state: Mapping[str, StoredTensor]) -> Tensors:
    """Return tensors of a file of ``torch.save``; those that share a storage share it here.

    Raises:
        SourceError: If one reaches beyond its storage, or is of a type that torch does not have.
    """
    storages: dict[str, Tensor] = {}
    try:
        mapped = torch.from_numpy(np.memmap(file.path, mode="c")) if file.places else torch.empty(0, dtype=torch.uint8)
        with file.path.open("rb") as opened:
            for stored in state.values():
                key = stored.storage.key
                if key not in storages:
                    place = file.places[key]
                    if place.deflated or place.start % _ALIGNED:  # old files begin storages anywhere
                        storages[key] = _read(opened, place)
                    else:
                        storages[key] = mapped[place.start : place.start + place.size]
        return {name: _view(name, stored, storages[stored.storage.key]) for name, stored in state.items()}
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(
            f"{file.path} cannot be read: {error}"[:300], hint="Save model.state_dict() again."
        ) from error


def _read(file: BinaryIO, place: Place) -> Tensor:
    """Return the bytes of a storage that cannot be mapped."""
    if place.deflated:
        held = bytearray(content(file, place))
    else:
        held = bytearray(place.size)
        file.seek(place.start)
        file.readinto(held)  # type: ignore[attr-defined]
    return torch.frombuffer(held, dtype=torch.uint8) if held else torch.empty(0, dtype=torch.uint8)


def _view(name: str, stored: StoredTensor, data: Tensor) -> Tensor:
    kind = getattr(torch, stored.dtype, None)
    if stored.dtype not in ITEM_BYTES or not isinstance(kind, torch.dtype):
        raise ValueError(f"{printable(name)} is of the type {printable(stored.dtype)}, which torch does not have")
    width = ITEM_BYTES[stored.dtype]
    count = data.numel() // width
    if 0 in stored.shape:
        return torch.empty(stored.shape, dtype=kind)
    last = stored.offset + sum((size - 1) * step for size, step in zip(stored.shape, stored.stride, strict=True))
    if last >= count:
        raise ValueError(f"{printable(name)} of shape {stored.shape} reaches beyond its {count:,} numbers")
    if math.prod(stored.shape) > count:
        raise ValueError(f"{printable(name)} of shape {stored.shape} repeats its {count:,} numbers")
    data = data[: count * width]
    # A slice of bytes can be viewed as numbers only from a storage of its own.
    numbers = torch.frombuffer(data.numpy(), dtype=kind)
    return numbers.as_strided(stored.shape, stored.stride, stored.offset)

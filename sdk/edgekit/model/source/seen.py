"""What data in memory or from a loader tells of a model that it is for: a few batches are looked at."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from edgekit.data.peek import Peek

_BATCHES = 8
_ROWS = 64
_DEEP = 8


def peek_batches(data: Any) -> Peek:
    """Return what the first batches tell; what is in none of the forms of data tells nothing.

    Args:
        data: A batch, or an iterable of batches, see `edgekit.model.source.batches.samples_of`.
    """
    labels = _names(data)
    told = "the data set's own list of classes" if labels else ""
    batches = list(itertools.islice(_batches(data), _BATCHES))
    if not batches:
        return Peek(labels=labels, told=told)
    numbers = [int(last.max()) for batch in batches if (last := _classes(batch)) is not None and len(last)]
    classes = len(labels) or (1 + max(numbers) if numbers else 0)
    first = batches[0]
    if isinstance(first, Mapping):
        arrays = {str(name): _kind(part) for name, part in first.items() if _is_array(part)}
        return Peek(arrays=arrays, labels=labels, told=told, classes=classes)
    return Peek(rows=tuple(map(_kind, first)), labels=labels, told=told, classes=classes)


def _batches(data: Any) -> Iterable[Any]:
    """Return batches that are mappings or sequences of arrays."""
    if _is_array(data):
        return [[data]]
    if isinstance(data, Mapping) or _all_arrays(data):  # in a sequence of batches of one input, all are alike
        return [data]
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size=_ROWS)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        return []
    whole = ([batch] if _is_array(batch) else batch for batch in data)
    return itertools.takewhile(lambda batch: isinstance(batch, Mapping) or _all_arrays(batch), whole)


def _classes(batch: Any) -> Any:
    """Return the true classes of a batch; None: it has none."""
    beside = (batch.get("labels"),) if isinstance(batch, Mapping) else batch[1:]
    last: Any = beside[-1] if beside else None
    if not _is_array(last) or last.ndim != 1:
        return None
    kind = torch.as_tensor(last).dtype
    return None if kind.is_floating_point or kind.is_complex or kind is torch.bool else last


def _kind(part: Any) -> tuple[str, tuple[int, ...]]:
    return str(part.dtype).removeprefix("torch."), tuple(part.shape[1:])


def _is_array(part: Any) -> bool:
    return isinstance(part, Tensor | np.ndarray) and part.ndim > 0


def _all_arrays(batch: Any) -> bool:
    return isinstance(batch, tuple | list) and len(batch) > 0 and all(map(_is_array, batch))


def _names(data: Any) -> tuple[str, ...]:
    """Return the names of the classes that a data set of torchvision has, inside of a loader or a part of it."""
    for _ in range(_DEEP):
        names = getattr(data, "classes", None)
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
        data = getattr(data, "dataset", None)
    return ()

"""A node of an ONNX graph as a plain value, and the values that flow between nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Host = NDArray[np.object_]
"""Sizes and what is computed of them: Python's numbers, symbolic ones too, in an array of objects."""
Value = Tensor | Host | None
HOST_ELEMENTS = 1024


class OnnxError(RuntimeError):
    """A node cannot be computed here; the message has its operator and name."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator with what it reads and writes; a missing input is the empty name."""

    op: str
    name: str
    version: int
    """Of the operator set that it is from."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __deepcopy__(self, memo: object) -> "Node":
        """A node never changes: copies of a module share it."""
        return self

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or a default."""
        return self.attributes.get(name, default)


def is_host(value: Value) -> bool:
    """Whether a value is sizes rather than a tensor."""
    return isinstance(value, np.ndarray)


def host(values: Any) -> Host:
    """Return numbers, or lists of them, as a value on the host."""
    if isinstance(values, np.ndarray):
        return values.astype(object)
    if not isinstance(values, list | tuple):
        return host([values]).reshape(())
    found: Host = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        found[index] = value
    return found


def numbers(value: Value, what: str) -> list[Any]:
    """Return the numbers of a value that must not depend on what the tensors hold.

    Raises:
        OnnxError: If it does.
    """
    if isinstance(value, np.ndarray):
        return list(value.reshape(-1))
    if (
        isinstance(value, Tensor)
        and value.numel() <= HOST_ELEMENTS
        and not isinstance(value, torch._subclasses.FakeTensor)
    ):
        return list(value.reshape(-1).tolist())
    raise OnnxError(f"{what} depends on the values of a tensor, so that nobody knows the shape of the result")


def tensor(value: Value) -> Tensor:
    """Return a value as a tensor; symbolic numbers are written into one."""
    if isinstance(value, Tensor):
        return value
    assert value is not None
    flat = list(value.reshape(-1))
    if all(isinstance(one, int | float | bool) for one in flat):
        return torch.tensor(flat).reshape(value.shape)
    parts = [torch.scalar_tensor(one, dtype=torch.int64) for one in flat]
    return torch.stack(parts).reshape(value.shape)


def scalar(value: Value) -> Any:
    """Return the number in a constant of one element, to be written into an operation; a tensor otherwise."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.ndim <= 1:
        return value.reshape(-1)[0]
    return tensor(value)

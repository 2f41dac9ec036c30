"""Inputs and outputs without a batch - a scalar, anchors, what was squeezed - have one of 1 in the files."""

from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import EdgeKitError, SourceError
from edgekit.model.outputs import flattened, is_named
from edgekit.model.source.derive import Returned, returned
from edgekit.spec import TensorSpec


def with_batch(
    found: Returned,
    own: nn.Module,
    inputs: tuple[TensorSpec, ...],
    example: tuple[Tensor, ...],
    *,
    alone: bool = False,
) -> tuple[Returned, tuple[str, ...]]:
    """Return what a module of our own returns once each of its outputs has a batch, and a note if one had none.

    The module is changed, not wrapped: paths of layers and names of weights stay.

    Args:
        found: What it returned for the example.
        own: The module.
        inputs: What it takes.
        example: Tensors of one sample.
        alone: Whether it takes nothing with a batch, so that no output has one, whatever its first size is.

    Raises:
        SourceError: If the sizes of such an output depend on values.
    """
    lacking = tuple(number for number, tensor in enumerate(found.tensors) if alone or tensor.shape[:1] != (1,))
    if found.batch != 1 or not lacking:
        return found, ()
    _add(own, lacking)
    zeros = tuple(torch.zeros_like(tensor) for tensor in example)
    again, other = (returned(found.name, own, inputs, given, {}) for given in (example, zeros))
    if [tensor.shape for tensor in again.tensors] != [tensor.shape for tensor in other.tensors]:
        number = lacking[0]
        raise SourceError(
            f"An output of {found.name} has shape {tuple(found.tensors[number].shape)} for one input and another for "
            "others: it is not batch first, and its size depends on values.",
            hint="Return one row a sample, of one size: a mask in place of x[x > 0], topk with a fixed k.",
        )
    shapes = ", ".join(str(tuple(found.tensors[number].shape)) for number in lacking)
    return again, (f"Outputs without a batch ({shapes}) have one of 1 in the files.",)


def without_batch(own: nn.Module, inputs: tuple[TensorSpec, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Let a module of our own take inputs with a batch of one whose ``forward`` takes them without; return a note.

    Args:
        own: The module. It is changed, not wrapped, and fails on more samples than one.
        inputs: What it takes after, with a batch of one.
        names: Which of them ``forward`` takes without.
    """
    if not names:
        return ()
    places = tuple(number for number, spec in enumerate(inputs) if spec.name in names)
    own.register_forward_pre_hook(_Sample(places))
    return (f"Inputs without a batch ({', '.join(names)}) have one of 1 in the files.",)


def as_declared(
    name: str, own: nn.Module, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[str, ...]:
    """Let a module of our own return a batch of one where that is declared and it returns none; return a note."""
    if any(not isinstance(size, int) for spec in inputs for size in spec.shape) or inputs[0].shape[0] != 1:
        return ()
    zeros = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in inputs)  # type: ignore[arg-type]
    try:
        found = returned(name, own, inputs, zeros, {})
    except EdgeKitError:
        return ()  # which is told with what was declared
    if len(found.tensors) != len(outputs):
        return ()
    pairs = enumerate(zip(found.tensors, outputs, strict=True))
    lacking = [number for number, (tensor, spec) in pairs if tuple(spec.shape) == (1, *tensor.shape)]
    if lacking:
        _add(own, tuple(lacking))
    return tuple(f"The output {outputs[number].name} has a batch of 1 in the files alone." for number in lacking)


def _add(own: nn.Module, places: tuple[int, ...]) -> None:
    own.register_forward_hook(_Batch(places))


class _Sample:
    """What runs before ``forward``."""

    def __init__(self, places: tuple[int, ...]) -> None:
        self._places = places

    def __call__(self, module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(_alone(one) if number in self._places else one for number, one in enumerate(given))


def _alone(tensor: Tensor) -> Tensor:
    # Without this a model that takes pictures with and without a batch would be run on many, and traced for many.
    if tensor.shape[0] != 1:
        raise ValueError(f"forward takes one sample at a time, not {tensor.shape[0]}")
    return tensor.squeeze(0)


class _Batch:
    """What runs behind ``forward``; behind one that is flat already, too."""

    def __init__(self, places: tuple[int, ...]) -> None:
        self._places = places

    def __call__(self, module: nn.Module, given: Any, result: Any) -> Any:
        found = [
            (label, tensor.unsqueeze(0) if number in self._places else tensor)
            for number, (label, tensor) in enumerate(flattened(type(module).__name__, result))
        ]
        if is_named(result):
            return dict(found)
        return found[0][1] if len(found) == 1 else tuple(tensor for _, tensor in found)

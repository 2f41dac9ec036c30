"""What a model returns for an example: tensors, which of their sizes follow the inputs', and their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from edgekit.errors import DataError, SourceError
from edgekit.model.outputs import flattened, identifiers, is_identifier, is_named
from edgekit.model.refusals import at, instead
from edgekit.model.sizes import other_sizes, resized
from edgekit.spec import Dimension, DType, Meaning, TensorSpec
from edgekit.spec.usercode import contained

DEFAULT_NAMES = ("output",)


@dataclass(frozen=True, kw_only=True)
class Returned:
    """What a model returned, at two sizes of its inputs; the same one twice if nothing may vary."""

    name: str
    """The model's name, for messages."""
    labels: tuple[str, ...]
    """The path of each tensor in its containers."""
    named: bool
    """Whether the model itself names them."""
    mapping: bool
    """Whether it is a mapping, which is matched by name."""
    tensors: tuple[Tensor, ...]
    others: tuple[Tensor, ...]
    batch: str | int
    """The first size of the inputs."""
    sizes: tuple[Mapping[str, int], Mapping[str, int]]


def returned(
    name: str,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    example: tuple[Tensor, ...],
    dimensions: Mapping[str, Dimension],
    hint: str = "",
) -> Returned:
    """Run a model on an example, and on the same at other sizes.

    Args:
        name: The model's name.
        model: The module, which may change its arguments: it is given copies.
        inputs: What goes in.
        example: Tensors of one sample or more.
        dimensions: What may vary.
        hint: What else to say if it fails.

    Raises:
        SourceError: If it fails, or returns other things at other sizes.
    """
    there: dict[str, int] = {}
    for spec, tensor in zip(inputs, example, strict=True):
        there |= {size: tensor.shape[axis] for axis, size in enumerate(spec.shape) if isinstance(size, str)}
    usual = {key: size.nearest(there[key]) for key, size in dimensions.items()}
    other = other_sizes(usual, dimensions)
    first = _run(name, model, inputs, example, usual, hint)
    found = flattened(name, first)
    again = flattened(name, _run(name, model, inputs, example, other, hint)) if dimensions else found
    if [label for label, _ in found] != [label for label, _ in again]:
        raise SourceError(
            f"{name} returns {len(found)} tensors for {_words(usual)} and {len(again)} for {_words(other)}.",
            hint="An artifact returns the same ones always.",
        )
    return Returned(
        name=name,
        labels=tuple(label for label, _ in found),
        named=is_named(first),
        mapping=isinstance(first, Mapping),
        tensors=tuple(tensor for _, tensor in found),
        others=tuple(tensor for _, tensor in again),
        batch=inputs[0].shape[0],
        sizes=(usual, other),
    )


def described(
    found: Returned,
    names: tuple[str, ...],
    inputs: Sequence[str],
    meanings: Mapping[str, Meaning] | None = None,
    first: Meaning = "tensor",
) -> tuple[TensorSpec, ...]:
    """Return names, types, shapes and meanings of what a model returned.

    Args:
        found: What it returned.
        names: Names for it, in order, where the model does not name it itself.
        inputs: The names of the inputs, which no output may have.
        meanings: What outputs mean, by name.
        first: What the first output means where nothing else is said.

    Raises:
        SourceError, DataError: If it is nothing that artifacts have.
    """
    labelled = output_labels(found, names, inputs)
    return tuple(
        TensorSpec(
            name=label,
            dtype=dtype_of(f"{label}, which {found.name} returns,", tensor),
            shape=named_shape(label, index, found),
            meaning=(meanings or {}).get(label, first if index == 0 else "tensor"),
        )
        for index, (label, tensor) in enumerate(zip(labelled, found.tensors, strict=True))
    )


def dtype_of(what: str, tensor: Tensor) -> DType:
    """Return the type of a tensor's elements.

    Raises:
        SourceError: If no artifact has it.
    """
    kind = str(tensor.dtype).removeprefix("torch.")
    known = get_args(DType)
    if kind not in known:
        raise SourceError(f"{what} is {kind}, which no artifact has.", hint=f"There are {', '.join(known)}.")
    return kind  # type: ignore[return-value]


def named_shape(label: str, index: int, found: Returned) -> tuple[int | str, ...]:
    """Return the shape of an output: numbers, the names of the inputs' dimensions, and names of what is derived.

    Raises:
        SourceError: If it has no batch dimension.
    """
    tensor, other = found.tensors[index], found.others[index]
    usual, later = found.sizes
    rows = [sizes.get(str(found.batch), found.batch) for sizes in found.sizes]
    if tensor.ndim != other.ndim or [one.shape[0] if one.ndim else None for one in (tensor, other)] != rows:
        raise SourceError(
            f"{label}, which {found.name} returns, has shape {tuple(tensor.shape)} for a batch of {rows[0]}: it is not "
            "batch first.",
            hint="Return one row a sample: keepdim=True, [None] or expand() put the batch there; squeeze() drops it. "
            "With one row in example_inputs, or max_batch=1, what has no batch gets one.",
        )
    shape: list[int | str] = [found.batch]
    for axis in range(1, tensor.ndim):
        pair = tensor.shape[axis], other.shape[axis]
        same = [key for key in usual if (usual[key], later[key]) == pair and key != found.batch]
        shape.append(pair[0] if pair[0] == pair[1] else (same[0] if same else f"{label}_{axis}"))
    return tuple(shape)


def output_labels(found: Returned, names: tuple[str, ...], inputs: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs: the model's own, or those that were asked for.

    Raises:
        DataError: If those that were asked for do not fit.
    """
    count, asked = len(found.labels), names != DEFAULT_NAMES
    own = identifiers(found.labels if found.named else _numbered(count), inputs)
    if not asked:
        return own
    faults = [f"{name!r} is no name" for name in names if not is_identifier(name)]
    faults += [f"{name} is an input" for name in names if name in inputs]
    faults += [f"{name} stands there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if len(names) != count:
        faults = [f"there are {len(names)} for {count} outputs"]
    elif found.mapping and names != own:
        faults.append(f"the model names its outputs itself: {', '.join(own)}")
    if faults:
        raise DataError(
            "output_names: " + "; ".join(faults), hint="Letters, digits and underscores, one name for each output."
        )
    return names


def _numbered(count: int) -> tuple[str, ...]:
    return DEFAULT_NAMES if count == 1 else tuple(f"output_{number}" for number in range(count))


def _run(
    name: str,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    example: tuple[Tensor, ...],
    sizes: Mapping[str, int],
    more: str,
) -> Any:
    given = [
        resized(tensor, tuple(sizes[size] if isinstance(size, str) else size for size in spec.shape)).clone()
        for spec, tensor in zip(inputs, example, strict=True)
    ]
    try:
        with torch.no_grad(), contained():
            return model(*given)
    except Exception as error:  # anything may be raised by a model
        shapes = ", ".join(
            f"{spec.name} {spec.dtype} {tuple(one.shape)}" for spec, one in zip(inputs, given, strict=True)
        )
        hint = "Pass the arguments of forward as a tuple, batch first."
        if isinstance(inputs[0].shape[0], str):
            hint += " A model that takes one sample alone is built with max_batch=1."
        hint += more
        raise SourceError(
            f"{name} fails on its example inputs ({shapes}): {type(error).__name__}: {error}{at(error)}",
            hint=instead(error) or hint,
        ) from error


def _words(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size}" for name, size in sizes.items())

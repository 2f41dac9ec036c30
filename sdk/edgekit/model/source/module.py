"""A module in memory becomes a `Source`: copied, run on zeros, held against what is declared, and measured."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgekit.base import digest
from edgekit.errors import SourceError
from edgekit.model.program import Source, named_outputs
from edgekit.model.refusals import at, instead
from edgekit.model.sizes import other_sizes
from edgekit.model.source.batch_axis import as_declared, without_batch
from edgekit.model.source.calls import check_parameters
from edgekit.model.source.first_steps import take_bytes
from edgekit.model.source.own import cast_hint, own_copy
from edgekit.spec import Audio, Dimension, Preprocessing, TensorSpec
from edgekit.spec.dimensions import Sizes, filled, fixed, ranges
from edgekit.spec.fits import completed
from edgekit.spec.usercode import contained


def source_from_module(
    name: str,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    dimensions: Mapping[str, Sizes],
    *,
    labels: tuple[str, ...] = (),
    preprocessing: Preprocessing | None = None,
    audio: Audio | None = None,
    unbatched: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Source:
    """Make a source of a module; the caller's module stays as it is, the source holds a copy on the CPU.

    Args:
        name: The model's name.
        model: The float model, in train or eval mode.
        inputs: What goes in, in the order of the parameters of ``forward``.
        outputs: What comes out, in order; a model that returns a dict is matched by name. A dimension that no input
            has is derived from the inputs.
        dimensions: The sizes of each dimension, or the largest; one that has one size only is filled in.
        labels: Names of the classes.
        preprocessing: How a picture becomes the input that means an image.
        audio: How a sound becomes the input.
        unbatched: The names of inputs that ``forward`` takes without their batch of one.
        notes: What was changed before, for a reader of the report.

    Raises:
        SourceError: If the model cannot be copied or run, or its outputs are not as declared.
    """
    own = own_copy(name, model)
    check_parameters(name, own, inputs)
    take_bytes(own, inputs, preprocessing)
    sizes = ranges(dimensions)
    one = fixed(sizes)
    inputs, outputs = filled(inputs, one), filled(outputs, one)
    free = {key: size for key, size in sizes.items() if key not in one}
    notes += without_batch(own, inputs, unbatched)
    notes += as_declared(name, own, inputs, outputs)
    _check_outputs(name, own, inputs, outputs, free, cast_hint(model))
    return measured(
        name,
        own,
        inputs,
        outputs,
        free,
        labels=labels,
        preprocessing=preprocessing,
        audio=audio,
        unbatched=unbatched,
        notes=notes,
    )


def measured(
    name: str,
    own: nn.Module,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    dimensions: Mapping[str, Dimension],
    *,
    labels: tuple[str, ...] = (),
    preprocessing: Preprocessing | None = None,
    audio: Audio | None = None,
    unbatched: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Source:
    """Make a source of what was checked: an own copy, and tensors without dimensions that have one size only."""
    tensors = (*own.parameters(), *own.buffers())
    return Source(
        name=name,
        model=own,
        inputs=inputs,
        outputs=outputs,
        dimensions=dict(dimensions),
        weights_sha256=_weights_digest(own),
        parameters=sum(parameter.numel() for parameter in own.parameters()),
        float_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        labels=labels,
        preprocessing=preprocessing,
        audio=None if audio is None else completed(audio, inputs),
        unbatched=unbatched,
        notes=notes,
    )


def _weights_digest(model: nn.Module) -> str:
    # A module may put other things into its state.
    state = {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    return digest.of_arrays({key: tensor.numpy() for key, tensor in state.items()})


def _check_outputs(
    name: str,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    dimensions: Mapping[str, Dimension],
    hint: str,
) -> None:
    """Run the model on zeros of different sizes and hold what comes out against what is declared."""
    first = {size for spec in inputs for size in spec.shape[:1] if isinstance(size, str)}
    usual = {key: size.nearest(2) if key in first else size.max for key, size in dimensions.items()}
    for sizes in (usual, other_sizes(usual, dimensions)) if dimensions else (usual,):
        zeros = [torch.zeros(_sized(spec, sizes), dtype=getattr(torch, spec.dtype)) for spec in inputs]
        try:
            with torch.no_grad(), contained():
                result = model(*zeros)
        except Exception as error:  # anything may be raised by a model
            shapes = ", ".join(f"{spec.name} {spec.dtype} {_sized(spec, sizes)}" for spec in inputs)
            raise SourceError(
                f"{name} fails on zeros ({shapes}): {type(error).__name__}: {error}{at(error)}",
                hint=instead(error) or f"Compare [[inputs]] and [dimensions] with what forward expects.{hint}",
            ) from error
        found = named_outputs(name, result, outputs)
        derived = dict(sizes)
        faults = [fault for spec in outputs for fault in _faults(spec, found[spec.name], derived)]
        if faults:
            raise SourceError(
                f"{name} returns something else than declared:\n" + "\n".join(f"  - {fault}" for fault in faults),
                hint="Correct [[outputs]] or the model.",
            )


def _faults(spec: TensorSpec, tensor: Tensor, sizes: dict[str, int]) -> list[str]:
    """Return how a tensor is not as declared; names that are met the first time are given their size."""
    if tensor.ndim == len(spec.shape):
        for name, size in zip(spec.shape, tensor.shape, strict=True):
            if isinstance(name, str):
                sizes.setdefault(name, int(size))
    shape = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in spec.shape)
    if tuple(tensor.shape) == shape and tensor.dtype == getattr(torch, spec.dtype):
        return []
    dtype = str(tensor.dtype).removeprefix("torch.")
    wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    return [f"{spec.name} is {dtype} of shape {tuple(tensor.shape)}, declared {spec.dtype} of {wanted}"]


def _sized(spec: TensorSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[size] if isinstance(size, str) else size for size in spec.shape)

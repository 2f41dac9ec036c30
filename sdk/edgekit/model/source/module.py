"""A module in memory becomes a `Source`: copied, put in eval mode, run once, and measured."""

import copy
import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgekit.base import digest
from edgekit.errors import SourceError
from edgekit.model.program import Source, named_outputs
from edgekit.spec import TensorSpec
from edgekit.spec.schema import did_you_mean


def source_from_module(
    name: str,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    dimensions: Mapping[str, int],
) -> Source:
    """Make a source of a module; the caller's module stays as it is, the source holds a copy on the CPU.

    Args:
        name: The model's name.
        model: The float model, in train or eval mode.
        inputs: What goes in, in the order of the parameters of ``forward``.
        outputs: What comes out, in order; a model that returns a dict is matched by name.
        dimensions: Largest value of each symbolic dimension.

    Raises:
        SourceError: If the model cannot be copied or run, or its outputs are not as declared.
    """
    try:
        own = copy.deepcopy(model).cpu().eval()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise SourceError(
            f"{name} cannot be copied: {error}", hint="Pass a module whose tensors are all parameters or buffers."
        ) from error
    _check_parameters(name, own, inputs)
    _check_outputs(name, own, inputs, outputs, dimensions)
    parameters = sum(parameter.numel() for parameter in own.parameters())
    tensors = (*own.parameters(), *own.buffers())
    return Source(
        name=name,
        model=own,
        inputs=inputs,
        outputs=outputs,
        dimensions=dict(dimensions),
        weights_sha256=_weights_digest(own),
        parameters=parameters,
        float_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )


def _weights_digest(model: nn.Module) -> str:
    arrays = {}
    for key, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor):  # a module may put other things there as extra state
            # NumPy has no bfloat16: its bits are taken, under a name of its own.
            bits = tensor.dtype == torch.bfloat16
            arrays[f"{key}:bfloat16" if bits else key] = (tensor.view(torch.int16) if bits else tensor).numpy()
    return digest.of_arrays(arrays)


def _check_parameters(name: str, model: nn.Module, inputs: tuple[TensorSpec, ...]) -> None:
    """Refuse inputs that ``forward`` has no parameter for; they are passed by position, so the order counts."""
    parameters = inspect.signature(model.forward).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    wanted = [spec.name for spec in inputs]
    if known[: len(wanted)] != wanted:
        strange = next((one for one in wanted if one not in known), "")
        raise SourceError(
            f"{name}: forward takes ({', '.join(known)}), the inputs are ({', '.join(wanted)})"
            f"{did_you_mean(strange, known)}",
            hint="Name [[inputs]] after the parameters of forward, in their order.",
        )


def _check_outputs(
    name: str,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    dimensions: Mapping[str, int],
) -> None:
    """Run the model once on zeros, two samples, and hold what comes out against what is declared."""
    sizes = dict(dimensions)
    for spec in inputs:
        if spec.shape and isinstance(spec.shape[0], str):
            sizes[spec.shape[0]] = min(2, sizes.get(spec.shape[0], 2))
    try:
        zeros = [torch.zeros(_sized(spec, sizes), dtype=getattr(torch, spec.dtype)) for spec in inputs]
        with torch.no_grad():
            result = model(*zeros)
    except Exception as error:  # anything may be raised by a model
        shapes = ", ".join(f"{spec.name} {spec.dtype} {_sized(spec, sizes)}" for spec in inputs)
        raise SourceError(
            f"{name} fails on zeros ({shapes}): {type(error).__name__}: {error}",
            hint="Compare [[inputs]] with what forward expects.",
        ) from error
    found = named_outputs(name, result, outputs)
    faults = []
    for spec in outputs:
        tensor, shape = found[spec.name], _sized(spec, sizes)
        if tuple(tensor.shape) != shape or tensor.dtype != getattr(torch, spec.dtype):
            dtype = str(tensor.dtype).removeprefix("torch.")
            faults.append(f"{spec.name} is {dtype} of shape {tuple(tensor.shape)}, declared {spec.dtype} of {shape}")
    if faults:
        raise SourceError(
            f"{name} returns something else than declared:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="Correct [[outputs]] or the model.",
        )


def _sized(spec: TensorSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[size] if isinstance(size, str) else size for size in spec.shape)

"""A model as ``torch.export`` keeps it as it is: tensors in, a flat tuple of tensors of their own out, plain names."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from edgekit.model.outputs import placeholder
from edgekit.model.program import Source, named_outputs


def flat(source: Source) -> nn.Module:
    """Return the model with another ``forward``, which shares all its modules and tensors.

    * The parameters are named so that fx does not rename them: a graph's signature would keep the old names.
    * Containers are taken apart, and what is None is left out.
    * An output that is an input or a tensor of the model is copied: a runtime gives each a memory of its own.
    """
    names: list[str] = []
    for spec in source.inputs:
        names.append(placeholder(spec.name, names))
    module = copy.copy(source.model)
    # On the instance, so that paths of modules and names of weights stay.
    module.forward = _forward(source, module, module.forward, names)
    return module


def _forward(source: Source, module: nn.Module, inner: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    def forward(*given: Tensor, **by_name: Tensor) -> Tensor | tuple[Tensor, ...]:
        tensors = (*given, *(by_name[name] for name in names[len(given) :]))
        found = named_outputs(source.name, inner(*tensors), source.outputs)
        taken = [*tensors, *module.parameters(), *module.buffers()]
        results = tuple(
            tensor.clone() if any(tensor is other for other in taken) else tensor for tensor in found.values()
        )
        return results[0] if len(results) == 1 else results

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    forward.__signature__ = signature  # type: ignore[attr-defined]
    return forward

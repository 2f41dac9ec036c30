"""A model as ``torch.export`` keeps it as it is: tensors in, a flat tuple of tensors of their own out, plain names."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, fx, nn
from torch.fx.traceback import preserve_node_meta

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
    if isinstance(source.model, fx.GraphModule) and (source.model._forward_hooks or source.model._forward_pre_hooks):
        module, inner = _sharing(source.model), _interpreted(source.model)
    else:
        module = copy.copy(source.model)
        inner = module.forward
    # On the instance, so that paths of modules and names of weights stay.
    module.forward = _forward(source, module, inner, names)
    return module


def _sharing(graph: fx.GraphModule) -> nn.Module:
    """Return a module with the modules and tensors of a graph that is none itself.

    ``torch.export`` runs a graph node by node, and neither its hooks nor a ``forward`` of its own.
    """
    module = nn.Module()
    for name in ("_parameters", "_buffers", "_non_persistent_buffers_set", "_modules", "training"):
        module.__dict__[name] = graph.__dict__[name]
    return module


def _interpreted(graph: fx.GraphModule) -> Callable[..., Any]:
    """Return what runs a graph between its hooks, and keeps what its nodes say of their layers."""

    def run(*given: Tensor) -> Any:
        for before in graph._forward_pre_hooks.values():
            given = before(graph, given)
        with preserve_node_meta():
            result = fx.Interpreter(graph).run(*given)
        for behind in graph._forward_hooks.values():
            result = behind(graph, given, result)
        return result

    return run


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

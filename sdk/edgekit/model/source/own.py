"""The copy of a caller's module that EdgeKit works on: plain, float32, on the CPU, in eval mode. The original stays."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils import parametrize, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from edgekit.errors import SourceError
from edgekit.model.source.projected import without_projections

_QUANTIZED = (
    "torch.ao.nn.quantized", "torch.ao.nn.qat", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.intrinsic.qat",
    "torch.ao.quantization.fake_quantize", "torch.ao.quantization.observer", "torchao.quantization", "bitsandbytes",
    "optimum.quanto",
)  # fmt: skip
_QUANTIZED_OPERATIONS = ("quantized", "quantized_decomposed", "torchao")
_FLOAT_HINT = "EdgeKit quantizes by itself: pass the float model, with the trained weights in it."


def own_copy(name: str, model: nn.Module) -> nn.Module:
    """Return a copy without wrappers and parametrizations, its weights in float32, in eval mode on the CPU.

    Args:
        name: The model's name, for messages.
        model: The caller's module.

    Raises:
        SourceError: If it is no eager float module, or cannot be copied.
    """
    inner = unwrapped(model)
    if not isinstance(inner, nn.Module):
        raise SourceError(f"The model is a {type(inner).__name__}, no torch.nn.Module.", hint="Pass the module itself.")
    _refuse(name, inner)
    try:
        # A tensor with a history, as old weight norms keep, is copied by value.
        made = copy.deepcopy(inner, {id(tensor): tensor.detach().clone() for tensor in _computed(inner)})
        made = _without_wrappers(made).cpu().eval()
        _plain_weights(made)
        with torch.no_grad():
            made = without_projections(made)
    except Exception as error:  # anything may be raised by a module's own way of copying
        raise SourceError(
            f"{name} cannot be copied: {type(error).__name__}: {error}",
            hint="Pass a module whose tensors are all parameters or buffers, with values.",
        ) from error
    for module in made.modules():
        module._compiled_call_impl = None  # of module.compile(): it would run the caller's compiled code
    for tensor in (*made.parameters(), *made.buffers()):
        if tensor.is_floating_point() and tensor.dtype is not torch.float32:
            tensor.data = tensor.data.float()
    return made


def unwrapped(model: Any) -> Any:
    """Return the module inside ``torch.compile``, ``DataParallel`` and the like."""
    while True:
        if isinstance(model, torch._dynamo.OptimizedModule):
            model = model._orig_mod
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def float_dtype(model: nn.Module) -> torch.dtype:
    """Return the type of a module's weights, where they are all of one type; float32 where there are none."""
    tensors = (*model.parameters(), *model.buffers())
    found = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    return found.pop() if len(found) == 1 else torch.float32


def cast_hint(model: nn.Module) -> str:
    """Return what to say of a model that fails, if its weights were of another float type."""
    dtype = float_dtype(unwrapped(model))
    kind = str(dtype).removeprefix("torch.")
    return (
        "" if dtype is torch.float32 else f" Its {kind} weights were copied to float32: forward may not cast to {kind}."
    )


def _computed(model: nn.Module) -> Iterator[Tensor]:
    """Yield the attributes that are tensors with a history."""
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor) and not value.is_leaf)


def _without_wrappers(model: nn.Module) -> nn.Module:
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if (inner := unwrapped(child)) is not child:
                setattr(module, name, inner)
    return model


def _plain_weights(model: nn.Module) -> None:
    """Write weights that are computed from others as what they come to: a layer is quantized by its weight."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in model.modules():
            if parametrize.is_parametrized(module):
                _own_class(module)
                for name in list(module.parametrizations):  # type: ignore[arg-type]
                    parametrize.remove_parametrizations(module, str(name), leave_parametrized=True)
            if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.max_norm is not None:
                rows = torch.arange(module.num_embeddings)  # it shortens the rows that are read, in the table itself
                torch.embedding_renorm_(module.weight.data, rows, module.max_norm, module.norm_type)
                module.max_norm = None
            for hook in list(module._forward_pre_hooks.values()):
                if isinstance(hook, WeightNorm):
                    remove_weight_norm(module, hook.name)
                elif isinstance(hook, SpectralNorm):
                    remove_spectral_norm(module, hook.name)


def _own_class(module: nn.Module) -> None:
    """Give a copy a class of its own: that of a parametrized module holds its properties, and deepcopy shares it."""
    kind = type(module)
    module.__class__ = type(kind.__name__, kind.__bases__, {**vars(kind)})


def _refuse(name: str, model: nn.Module) -> None:
    for path, module in model.named_modules():
        place = f"{path or 'it'} is a {type(module).__name__}"
        if isinstance(module, torch.jit.ScriptModule):
            raise SourceError(
                f"{name} is TorchScript, which torch.export does not take: {place}.",
                hint="Pass the eager module that was scripted or traced.",
            )
        if type(module).__module__.startswith(_QUANTIZED):
            raise SourceError(f"{name} is quantized already, or prepared for it: {place}.", hint=_FLOAT_HINT)
        if isinstance(module, fx.GraphModule) and (operation := _quantized_operation(module)):
            raise SourceError(f"{name} is quantized already: its graph calls {operation}.", hint=_FLOAT_HINT)
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            raise SourceError(f"{path} of {name} has no shape yet.", hint="Run the lazy module once, then build.")
        if tensor.is_quantized or _is_wrapper(tensor):
            raise SourceError(
                f"{name} is quantized already, or distributed: {path} is a {_kind(tensor)}.", hint=_FLOAT_HINT
            )


def _is_wrapper(tensor: object) -> bool:
    return is_traceable_wrapper_subclass(tensor)


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} tensor" if tensor.is_quantized else type(tensor).__name__


def _quantized_operation(module: fx.GraphModule) -> str:
    for node in module.graph.nodes:
        if getattr(node.target, "namespace", "") in _QUANTIZED_OPERATIONS:
            return str(node.target)
    return ""

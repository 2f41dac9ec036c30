"""Memory layout: the order in which a tensor's numbers lie changes nothing of what is built."""

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def make_contiguous(model: nn.Module) -> None:
    """Lay a module's parameters and buffers out in the order of their dimensions, in place."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.layout is torch.strided and not tensor.is_contiguous():
            tensor.data = tensor.data.contiguous()


class PlainLayout(TorchFunctionMode):
    """Within it, a model that asks for channels-last memory gets contiguous memory: the delegates choose their own."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function as it was called, but for the memory format."""
        kwargs = dict(kwargs or {})
        if kwargs.get("memory_format") in (torch.channels_last, torch.channels_last_3d):
            kwargs["memory_format"] = torch.contiguous_format
        return func(*args, **kwargs)

"""The last steps of a preprocessing as the first steps of a model, which then takes bytes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.spec import Preprocessing, TensorSpec

_GAIN, _SHIFT = "edgekit_gain", "edgekit_shift"


def take_bytes(own: nn.Module, inputs: tuple[TensorSpec, ...], steps: Preprocessing | None) -> None:
    """Let a module of our own normalise the input that means an image by itself, if its project says so.

    The module is changed, not wrapped: paths of layers and names of weights stay. What it computes is
    ``image * (scale / std) - mean / std``, in float32.

    Args:
        own: The module; it takes float32 of shape (N, C, H, W) before and uint8 after.
        inputs: What it takes after.
        steps: The preprocessing.
    """
    if steps is None or not steps.in_graph:
        return
    place = next(number for number, spec in enumerate(inputs) if spec.meaning == "image")
    std, mean = np.array(steps.std, np.float64), np.array(steps.mean, np.float64)
    for name, values in ((_GAIN, steps.scale / std), (_SHIFT, mean / std)):
        tensor = torch.from_numpy(values.astype(np.float32)).reshape(1, -1, 1, 1)
        own.register_buffer(name, tensor, persistent=False)
    own.register_forward_pre_hook(_Normalize(place, steps.layout == "NHWC"), prepend=True)


class _Normalize:
    """What runs before ``forward``."""

    def __init__(self, place: int, channels_last: bool) -> None:
        self._place, self._channels_last = place, channels_last

    def __call__(self, module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        image: Tensor = given[self._place].to(torch.float32)
        if self._channels_last:
            image = image.permute(0, 3, 1, 2)
        image = image * getattr(module, _GAIN) - getattr(module, _SHIFT)
        return (*given[: self._place], image, *given[self._place + 1 :])

"""Other sizes of the dimensions that may vary, and tensors of those sizes: what follows them is seen by trying."""

from collections.abc import Mapping

import torch
from torch import Tensor

from edgekit.spec import Dimension


def other_sizes(sizes: Mapping[str, int], dimensions: Mapping[str, Dimension]) -> dict[str, int]:
    """Return for every dimension an allowed size that is near another one, and not it."""
    found = {}
    for number, (name, size) in enumerate(sizes.items()):
        dimension = dimensions[name]
        step = dimension.multiple * (1 + number)  # not the same for all: one must not pass for another
        below, above = dimension.nearest(size - step), dimension.nearest(size + step)
        found[name] = below if below != size else above
    return found


def resized(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor of another shape, repeated or cut along each axis; the values are the tensor's own."""
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.index_select(axis, torch.arange(size) % tensor.shape[axis])
    return tensor

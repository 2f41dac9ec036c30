"""Other sizes of the dimensions that may vary, and tensors of those sizes: what follows them is seen by trying."""

from collections.abc import Mapping

import torch
from torch import Tensor

from edgekit.spec import Dimension


def other_sizes(sizes: Mapping[str, int], dimensions: Mapping[str, Dimension]) -> dict[str, int]:
    """Return for every dimension an allowed size that is another one."""
    found: dict[str, int] = {}
    for name, size in sizes.items():
        dimension = dimensions[name]
        steps = [dimension.multiple * (1 + number) * sign for number in range(1 + len(sizes)) for sign in (-1, 1)]
        # Far away first: half of a size is the same for its neighbour.
        near = [2 * size, size * 3 // 4, size // 2, *(size + step for step in steps)]
        others = [other for wanted in near if (other := dimension.nearest(wanted)) != size]
        taken = {(sizes[key], value) for key, value in found.items()}  # one must not pass for another
        found[name] = next((other for other in others if (size, other) not in taken), others[0])
    return found


def resized(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor of another shape, repeated or cut along each axis; the values are the tensor's own."""
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.index_select(axis, torch.arange(size) % tensor.shape[axis])
    return tensor

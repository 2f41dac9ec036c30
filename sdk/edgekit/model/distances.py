"""Distances: torch computes them in one of two ways, by how many there are, and its exporter fixes sizes to tell."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_BY_PAIRS = "donot_use_mm_for_euclid_dist"


class PlainDistances(TorchFunctionMode):
    """Within it, distances are computed in one way: as torch does where there are many, by products of matrices."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function as it was called, unless it computes distances."""
        kwargs = dict(kwargs or {})
        return _distances(*args, **kwargs) if func is torch.cdist else func(*args, **kwargs)


def _distances(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:
    if p == 1:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).abs().sum(-1)
    if p != 2 or compute_mode == _BY_PAIRS:
        return torch.cdist(x1, x2, p, compute_mode)
    squares = x1.square().sum(-1, keepdim=True) + x2.square().sum(-1).unsqueeze(-2)
    return (squares - 2 * (x1 @ x2.transpose(-2, -1))).clamp(min=0).sqrt()

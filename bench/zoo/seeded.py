"""Random weights that make a network of it: batch norms that know real pictures, no branch that is switched off."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.zoo import carried
from bench.zoo.data import Data

# Layer scales, and gains of norms at the ends of residual branches, begin near zero; training opens them.
_NEARLY_ZERO = 0.02
_GAIN = (0.2, 0.8)
STATISTICS_SAMPLES = 16
_STATISTICS_BATCH = 4


def seeded(make: Callable[[], nn.Module], data: Data, *, seed: int = 0) -> nn.Module:
    """Return a network in eval mode with weights from a seed.

    Gains that are constant and nearly zero are drawn between 0.2 and 0.8; statistics of batch norms are means over
    forward passes of calibration samples in train mode.

    Args:
        make: Returns the network; its initialisation is its package's own.
        data: What it is fed.
        seed: Of torch's generator.
    """
    torch.manual_seed(seed)
    model = make().eval()
    _open_branches(model)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return model
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the passes
        norm.train()
    rows = carried.drawn(data, "calibration", STATISTICS_SAMPLES)
    with torch.no_grad():
        for start in range(0, len(rows[0]), _STATISTICS_BATCH):
            model(*[torch.from_numpy(np.ascontiguousarray(one[start : start + _STATISTICS_BATCH])) for one in rows])
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def _open_branches(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        values = parameter.detach()
        gain = name.endswith(("weight", "gamma", "scale", "layer_scale"))
        constant = values.numel() > 1 and bool((values == values.flatten()[0]).all())
        if gain and constant and values.flatten()[0].abs() < _NEARLY_ZERO:
            values.uniform_(*_GAIN)

"""What quantization costs on samples that it was calibrated with: on others it should cost no more."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch.utils import _pytree as pytree

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.drift.metrics import is_counted
from edgekit.model.program import Captured

# Calibration samples that are tried.
_TRIED = 16


def seen_db(captured: Captured, rounded: torch.nn.Module, calibration: Samples) -> dict[str, float]:
    """Return the SQNR in dB of each output that is no integer, the median of some calibration samples.

    Args:
        captured: The float program.
        rounded: The quantized one.
        calibration: The samples that it was calibrated with.
    """
    real, source = captured.program.module(check_guards=False), captured.source
    pairs: dict[str, list[tuple[Array, Array]]] = {spec.name: [] for spec in source.outputs}
    multiple = 1 if captured.any_batch else captured.rows
    with torch.inference_mode():
        for part in calibration.spread(_TRIED).batches(captured.rows, multiple=multiple):
            given = tuple(torch.from_numpy(part.array(spec.name)) for spec in source.inputs)
            both = zip(*(pytree.tree_leaves(module(*given)) for module in (real, rounded)), strict=True)
            for found, (one, other) in zip(pairs.values(), both, strict=True):
                found.append((one.numpy(), other.numpy()))
    known = {name: db_of(found) for name, found in pairs.items()}
    return {name: value for name, value in known.items() if value is not None}


def db_of(pairs: Iterable[tuple[Array, Array]]) -> float | None:
    """Return the median over samples of their SQNR in dB; None for integers, and where most have none or no bound.

    The median: one sample beyond the ranges says nothing of the others.

    Args:
        pairs: Float values and rounded ones, each of shape (samples, ...), in parts.
    """
    ratios: list[Array] = []
    for real, rounded in pairs:
        if is_counted(real):
            return None
        axes = tuple(range(1, real.ndim))
        signal = np.square(real, dtype=np.float64).sum(axes)
        noise = np.square(real - rounded.astype(np.float64)).sum(axes)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(10 * np.log10(signal / noise))
    found = (
        float(np.median(np.nan_to_num(np.concatenate(ratios), nan=np.inf, posinf=np.inf, neginf=-np.inf)))
        if ratios
        else math.inf
    )
    return found if math.isfinite(found) else None

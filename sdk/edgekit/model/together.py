"""How many samples the float model takes at once in torch: as many as fit where that changes no answer."""

import numpy as np
import torch
from torch import Tensor

from edgekit.data.samples import Samples
from edgekit.errors import SourceError
from edgekit.model.program import Source, named_outputs

_MOST = 64
# Elements of the inputs of one call: activations are some times as large.
_ELEMENTS = 2**24
# What a sample gives alone and beside others differs by float rounding, at 100 dB and more.
_SAME = 1e-6


def together(source: Source, samples: Samples) -> int:
    """Return how many samples to give the model at once.

    A model that takes one sample at a time on the device mostly takes many here, which is many times faster. It is
    tried: one that normalises by its whole input, or reshapes to the one sample that it expects, is run as it is.

    Args:
        source: The model.
        samples: What it will be run on.
    """
    elements = sum(array[:1].size for array in samples.inputs.values())
    fitting = max(1, min(_MOST, _ELEMENTS // elements))
    if source.batch is None:
        return min(fitting, source.most)
    whole = fitting // source.batch * source.batch
    return whole if whole > source.batch and _independent(source, samples, source.batch) else source.batch


def _independent(source: Source, samples: Samples, size: int) -> bool:
    """Whether batches give the same one by one and as one; with too few samples nobody can tell."""
    if len(samples) < 2 * size:
        return False
    parts = [
        samples.rows(slice(start, start + size)) for start in range(0, min(3 * size, len(samples) // size * size), size)
    ]
    try:
        alone = [_answers(source, part) for part in parts]
        beside = _answers(source, samples.rows(slice(0, size * len(parts))))
    except Exception:  # anything may be raised by a model that does not take more than it says
        return False
    return all(
        _same(torch.cat([answers[spec.name] for answers in alone]), beside[spec.name]) for spec in source.outputs
    )


def _answers(source: Source, samples: Samples) -> dict[str, Tensor]:
    tensors = [torch.from_numpy(np.array(samples.inputs[spec.name])) for spec in source.inputs]
    with torch.inference_mode():
        found = named_outputs(source.name, source.model(*tensors), source.outputs)
    if any(tensor.ndim == 0 or len(tensor) != len(samples) for tensor in found.values()):
        raise SourceError(f"{source.name} does not return one row a sample.")
    return dict(found)


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return bool(torch.equal(one, other))
    signal, noise = one.double().square().sum(), (one.double() - other.double()).square().sum()
    return bool(noise <= _SAME * signal)  # false for NaN

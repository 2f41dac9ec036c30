"""How many samples the float model takes at once in torch: as many as fit where that changes no answer."""

import math

import torch
from torch import Tensor
from torch.export import ExportedProgram

from edgekit.base.memory import Memory
from edgekit.data.samples import Samples
from edgekit.errors import SourceError
from edgekit.model.program import Source, named_outputs

_MOST = 64
_BYTES = 4
# What a sample gives alone and beside others differs by float rounding, at 100 dB and more.
_SAME = 1e-6


def together(source: Source, samples: Samples, memory: Memory) -> int:
    """Return how many samples to give the model at once.

    A model that takes one sample at a time on the device mostly takes many here, which is many times faster. It is
    tried: one that normalises by its whole input, or reshapes to the one sample that it expects, is run as it is.

    Args:
        source: The model.
        samples: What it will be run on.
        memory: Bounds inputs and outputs of a call.
    """
    taken = sum(math.prod(rows.shape[1:]) for rows in samples.inputs.values())
    given = sum(math.prod(size for size in spec.shape[1:] if isinstance(size, int)) for spec in source.outputs)
    fitting = max(1, min(_MOST, memory.ends // (_BYTES * max(taken, given, 1))))
    if source.batch is None:
        return min(fitting, source.most)
    whole = fitting // source.batch * source.batch
    return whole if whole > source.batch and _independent(source, samples, source.batch) else source.batch


def fitting(program: ExportedProgram, bytes_: int) -> int:
    """Return of how many samples the largest tensor of a program has so many bytes; one at least."""
    values = [node.meta["val"] for node in program.graph.nodes if isinstance(node.meta.get("val"), Tensor)]
    # Without the symbolic sizes what is left is one sample's: asking a symbol for its value would fix it.
    largest = max(math.prod(size for size in value.shape if isinstance(size, int)) for value in values)
    return max(1, bytes_ // (_BYTES * largest))


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
        joined = {spec.name: torch.cat([answers[spec.name] for answers in alone]) for spec in source.outputs}
    except Exception:  # by a model that does not take more than it says, or whose answers are of different sizes
        return False
    return all(_same(joined[spec.name], beside[spec.name]) for spec in source.outputs)


def _answers(source: Source, samples: Samples) -> dict[str, Tensor]:
    own = samples.in_memory()  # a model may write to what it is given
    tensors = [torch.from_numpy(own.array(spec.name)) for spec in source.inputs]
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

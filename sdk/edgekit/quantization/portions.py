"""Portions: how many calibration samples the reconstruction takes, and how many are walked with at once."""

import math
from collections.abc import Iterator

from torch import Tensor, fx

from edgekit.data.samples import Samples
from edgekit.model.program import Captured
from edgekit.quantization.functions import WEIGHTED
from edgekit.spec import STATIC_INT8, Scheme

# Numbers in the largest tensor of a part: what is computed on the way to the next layer stays in the processor's cache.
_PART = 2**21


def portions(captured: Captured, scheme: Scheme, samples: Samples) -> list[Samples]:
    """Return the samples to reconstruct with in parts; see `taken` and `parts`.

    Args:
        captured: The float program.
        scheme: How it is quantized.
        samples: All calibration samples.
    """
    return list(parts(captured, taken(captured, scheme, samples)))


def taken(captured: Captured, scheme: Scheme, samples: Samples) -> Samples:
    """Return the samples to reconstruct with, evenly spread.

    Args:
        captured: The float program.
        scheme: How it is quantized: of static int8, one of the two streams is held in 8 bits and the other in 16.
        samples: All calibration samples.
    """
    held = max((3 if scheme in STATIC_INT8 else 8) * _most_between_layers(captured, numbers(captured)), 1)
    # Samples beyond what is held between two layers, of both streams, are left out.
    return samples.spread(min(len(samples), max(1, int(captured.memory.streams / held))))


def parts(captured: Captured, samples: Samples) -> Iterator[Samples]:
    """Yield samples in parts; the last one is filled up where the program takes no other number."""
    if not captured.any_batch:
        return samples.batches(captured.rows, multiple=captured.rows)
    return samples.batches(max(1, min(captured.rows, int(_PART / max(1.0, *numbers(captured).values())))))


def numbers(captured: Captured) -> dict[fx.Node, float]:
    """Return how many numbers a value has for one sample, by the node of the float program that computes it."""
    batch = len(captured.example[0])
    return {node: _numbers(node) / batch for node in captured.program.graph.nodes}


def _most_between_layers(captured: Captured, sizes: dict[fx.Node, float]) -> float:
    """Return the most numbers that a sample has in values which a layer, or what comes after it, still reads."""
    graph = captured.program.graph
    given = set(captured.program.graph_signature.user_inputs)
    last_use = {source: place for place, node in enumerate(graph.nodes) for source in node.all_input_nodes}
    ends: dict[int, float] = {}
    live = most = 0.0
    for place, node in enumerate(graph.nodes):
        if node.target in WEIGHTED:
            most = max(most, live)
        live -= ends.get(place, 0)
        if node in last_use and (node.op == "call_function" or node.name in given):
            live += sizes[node]
            ends[last_use[node]] = ends.get(last_use[node], 0) + sizes[node]
    return most


def _numbers(node: fx.Node) -> int:
    value = node.meta.get("val")
    return math.prod(map(_hint, value.shape)) if isinstance(value, Tensor) else 0


def _hint(size: object) -> int:
    """Return a size as it was traced; asking a symbol for its value would fix it."""
    if isinstance(size, int):
        return size
    hint = getattr(getattr(size, "node", None), "hint", None)
    return int(hint) if hint is not None else 1

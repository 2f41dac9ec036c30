"""Candidates: which layers to keep in float, so that no other choice is better by what the scores add up to."""

import math
from collections.abc import Mapping

from edgekit.model.layers import Layer

# What the error of one candidate is of that of the one before.
_STEP = 0.5


def candidates(layers: Mapping[str, Layer], scores: Mapping[str, float], most: int) -> list[tuple[str, ...]]:
    """Return sets of layers to keep in float, the empty one first, each with less error and more bytes than before.

    Errors are taken to be independent: what layers cost together is the sum. Then the sets in which each layer buys
    more for its bytes than those left out are the corners of the curve that no other set is below.

    Args:
        layers: By path, in the order of the graph.
        scores: What each of them costs in int8.
        most: How many sets there are at most.
    """
    order = sorted(layers, key=lambda path: (-_worth(layers[path], scores[path]), path))
    left = sum(scores.values())
    found: list[tuple[str, ...]] = [()]
    wanted, kept = _STEP * left, set[str]()
    for path in order:
        if len(found) >= most or scores[path] <= 0:
            break
        kept.add(path)
        left -= scores[path]
        if left <= wanted:
            found.append(tuple(one for one in layers if one in kept))
            wanted = _STEP * max(left, 0.0)
    return found


def predicted_db(scores: Mapping[str, float], kept: tuple[str, ...]) -> float | None:
    """Return the SQNR in dB that the scores of the layers left in int8 add up to; None: they add up to nothing."""
    left = sum(value for path, value in scores.items() if path not in kept)
    return -10 * math.log10(left) if left > 0 else None


def _worth(layer: Layer, score: float) -> float:
    """Return what a layer buys for a byte; one without weights costs nothing, and goes first."""
    return score / layer.extra_bytes if layer.extra_bytes else math.inf

"""What an artifact computes outside of its delegates or in float, why, and what that costs, as a person reads it."""

from collections import Counter

from edgekit.base import numbers
from edgekit.bundles.manifest import ArtifactInfo
from edgekit.model.left_out import LeftOut


def left_out_lines(item: ArtifactInfo) -> list[str]:
    """Return a line for each reason: how many operations of each kind, and what they cost together."""
    found: dict[tuple[str, str], list[LeftOut]] = {}
    for one in item.left_out:
        found.setdefault((_where(one), one.reason), []).append(one)
    return [
        f"{item.file} {where}: {_kinds(alike)}: {reason}; {_cost(alike)}" for (where, reason), alike in found.items()
    ]


def _where(one: LeftOut) -> str:
    words = ("outside the delegate",) * one.outside + ("in float",) * one.in_float
    return ", ".join(words)


def _kinds(alike: list[LeftOut]) -> str:
    kinds = Counter(one.operation for one in alike)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())


def _cost(alike: list[LeftOut]) -> str:
    held, narrow = sum(one.float_bytes for one in alike), sum(one.int8_bytes for one in alike)
    weights = f", {numbers.kilobytes(held)} of weights that are {numbers.kilobytes(narrow)} in int8" if held else ""
    return f"about {numbers.percent(sum(one.time_share for one in alike))} % of the time (estimated){weights}"

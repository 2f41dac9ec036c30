"""The step that would most likely help a build that failed, told by what was measured of it."""

import json
import shlex
from pathlib import Path

from edgekit.base import numbers
from edgekit.bundles.manifest import ArtifactInfo, Report
from edgekit.bundles.verdict import leg_name
from edgekit.drift.blame import Blame, blamed, noise
from edgekit.drift.report import Leg
from edgekit.model.layers import Sensitivities, Sensitivity

_NAMED = 3
_WORTH_DB = 0.5
"""A layer that gains less by staying float is not worth naming."""


def next_step(report: Report, folder: Path, ranking: Sensitivities | None = None) -> str:
    """Return a sentence or two, or nothing for what passed.

    Args:
        report: What a build measured.
        folder: The bundle's folder, as a person would type it.
        ranking: What each layer costs, where that was measured.
    """
    if (blame := blamed(report.drift)) is not None:
        return _of_drift(report, blame, shlex.quote(str(folder)), ranking)
    large = [item for item in report.artifacts if not item.within_size]
    if large:
        return _of_size(max(large, key=lambda item: item.bytes - item.size_limit))
    return report.refused[0].hint if report.refused else ""


def _of_drift(report: Report, blame: Blame, folder: str, ranking: Sensitivities | None) -> str:
    where = f"{leg_name(blame.leg)} makes most of the error ({_measured(blame.leg)})"
    match blame.leg.name:
        case "server":
            return (
                f"{where}: the float model here already computes something else than the baseline. Record the baseline "
                "again from these weights and this data: edgekit baseline record"
            )
        case "quantization":
            return f"{where}. {_of_layers(report, folder, ranking)}"
        case "lowering":
            return f"{where}, not quantization. The operation that does it: edgekit bisect {folder}"
        case _:
            return f"{where}. What each layer costs: edgekit profile {folder}"


def _measured(leg: Leg) -> str:
    if leg.metrics.agreement is not None:
        return f"{numbers.percent(leg.metrics.agreement, 2)} % of the values are equal"
    return f"{leg.metrics.sqnr_db:.1f} dB" if noise(leg) else "no difference in decibels"


def _of_layers(report: Report, folder: str, ranking: Sensitivities | None) -> str:
    if report.fallback is not None and report.fallback.outcome == "limit":
        share, limit = numbers.percent(report.fallback.float_share), numbers.percent(report.fallback.float_limit)
        return (
            f"Fallback kept {share} % of the weights in float, and {limit} % may: a larger fallback_limit under "
            "[quantize], or a looser limit, lets it pass"
        )
    if report.fallback is not None:
        return f"No layer that fallback could keep in float would help. What each costs: edgekit profile {folder}"
    if ranking is None:
        return f"The layers that it comes from: edgekit profile {folder}"
    worth = sorted((one for one in ranking.ranking if _gain(one) >= _WORTH_DB), key=_gain, reverse=True)[:_NAMED]
    if not worth:
        return f"No single layer stands out. What each step of the quantizer gives: edgekit profile {folder} --steps"
    first = worth[0]
    after = "all of it" if first.gain_db is None else f"{first.gain_db:.1f} dB"
    names = json.dumps([one.layer.path for one in worth])
    return (
        f'{first.layer.path} costs most: kept in float it alone buys {after}. Under [quantize]: fallback = "auto", or '
        f'scheme = "int8-mixed" with float_layers = {names}'
    )


def _gain(one: Sensitivity) -> float:
    return float("inf") if one.gain_db is None else one.gain_db


def _of_size(item: ArtifactInfo) -> str:
    over = item.bytes - item.size_limit
    told = f"{item.file} is {numbers.kilobytes(over)} over its limit"
    wide = sorted(item.left_out, key=lambda one: one.extra_bytes, reverse=True)
    saved = sum(one.extra_bytes for one in wide)
    if not wide or saved <= 0:
        return f"{told}, and no weight is left in float: a larger size limit, or a smaller model, is what is left"
    return (
        f"{told}. Weights that stay float take {numbers.kilobytes(saved)} more than in int8, most of it {wide[0].told}"
    )

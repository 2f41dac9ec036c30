"""What the zoo must show, and which networks do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.zoo.results import NetworkResult, Results

FORMATS = ("pte", "onnx")
LOSS_DB = 0.3
LATENCY = 1.05
_AGREEMENT, _STEP_DB, _SECONDS = 0.98, 0.2, 900

Judge = Callable[[NetworkResult], bool | None]
"""Whether a network meets a demand; None where it does not apply or was not measured."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """One thing that every network it applies to must show."""

    title: str
    judge: Judge


def builds(network: NetworkResult) -> tuple[str, ...]:
    """Return the formats of which there is a file that runs."""
    return tuple(format for format in FORMATS if network.file("edgekit", format) is not None)


def gains(networks: Iterable[NetworkResult], format: str) -> list[tuple[str, float]]:
    """Return by how many dB each network's file is above the stock recipe's, where both were measured."""
    found = []
    for one in networks:
        ours, stock = one.file("edgekit", format), one.stock(format)
        if ours and stock and ours.sqnr_db is not None and stock.sqnr_db is not None:
            found.append((one.name, ours.sqnr_db - stock.sqnr_db))
    return found


def slower(network: NetworkResult, format: str) -> list[tuple[str, float]]:
    """Return what a file takes more time than, with the ratio: the float file, the stock recipe's."""
    ours = network.file("edgekit", format)
    found = []
    for name, beside in (("float", network.file("float", format)), ("stock", network.stock(format))):
        if ours and beside and ours.least_ms and beside.least_ms and ours.least_ms > LATENCY * beside.least_ms:
            found.append((name, ours.least_ms / beside.least_ms))
    return found


def judged(results: Results) -> list[tuple[str, list[NetworkResult], list[NetworkResult]]]:
    """Return each demand with the networks that meet it and those that miss it."""
    found = []
    for demand in DEMANDS:
        verdicts = [(one, demand.judge(one)) for one in results.networks]
        met, missed = ([one for one, verdict in verdicts if verdict is wanted] for wanted in (True, False))
        if met or missed:
            found.append((demand.title, met, missed))
    return found


def _in_time(network: NetworkResult) -> bool | None:
    ours = network.recipes.get("edgekit")
    return (
        None
        if ours is None
        else ours.wall_s <= _SECONDS and not any("not done after" in why for why in ours.refused.values())
    )


def _no_riddle(network: NetworkResult) -> bool | None:
    ours = network.recipes.get("edgekit")
    if ours is None:
        return None
    return not any("CRASH" in why or "the process ended" in why for why in ours.refused.values())


def _near_stock(format: str) -> Judge:
    def judge(network: NetworkResult) -> bool | None:
        found = gains([network], format)
        return found[0][1] >= -LOSS_DB if found else None

    return judge


def _agrees(network: NetworkResult) -> bool | None:
    files = [network.file("edgekit", format) for format in FORMATS]
    known = [one.agreement for one in files if one is not None and one.agreement is not None]
    return min(known) >= _AGREEMENT if known and network.weights == "real" else None


def _fast(format: str, beside: str) -> Judge:
    def judge(network: NetworkResult) -> bool | None:
        ours = network.file("edgekit", format)
        other = network.file("float", format) if beside == "float" else network.stock(format)
        if ours is None or other is None or not ours.least_ms or not other.least_ms:
            return None
        return ours.least_ms <= LATENCY * other.least_ms

    return judge


def _no_step_loses(network: NetworkResult) -> bool | None:
    differences = [
        without - ours.sqnr_db
        for found in network.off.values()
        for format, without in found.items()
        if (ours := network.file("edgekit", format)) is not None and ours.sqnr_db is not None
    ]
    return max(differences) <= _STEP_DB if differences else None


DEMANDS = (
    Demand(
        title="builds both formats",
        judge=lambda one: len(builds(one)) == len(FORMATS) if "edgekit" in one.recipes else None,
    ),
    Demand(title="no library's error as its message", judge=_no_riddle),
    Demand(title="built in 15 minutes", judge=_in_time),
    Demand(title=f".pte: SQNR no more than {LOSS_DB} dB below stock", judge=_near_stock("pte")),
    Demand(title=f".onnx: SQNR no more than {LOSS_DB} dB below stock", judge=_near_stock("onnx")),
    Demand(title=f"real weights: agreement at least {_AGREEMENT:.0%}", judge=_agrees),
    Demand(title=f".pte: latency at most {LATENCY} x the float file's", judge=_fast("pte", "float")),
    Demand(title=f".pte: latency at most {LATENCY} x stock's", judge=_fast("pte", "stock")),
    Demand(title=f".onnx: latency at most {LATENCY} x the float file's", judge=_fast("onnx", "float")),
    Demand(title=f".onnx: latency at most {LATENCY} x stock's", judge=_fast("onnx", "stock")),
    Demand(title=f"no step of the quantizer {_STEP_DB} dB worse than without it", judge=_no_step_loses),
)

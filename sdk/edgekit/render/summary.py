"""A build in the words that a person says aloud: how much smaller, how good, and where it runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles.contents import PAGE_FILE
from edgekit.bundles.manifest import ArtifactInfo, Report
from edgekit.bundles.result import BuildResult
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import DriftReport, Leg
from edgekit.model.onchip import Executed
from edgekit.spec import Scheme


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with its change from float."""

    name: str
    """What was measured: ``accuracy``."""
    value: str
    """The number with its unit."""
    change: str
    """What became of float's, in words; empty where float has none."""

    def __str__(self) -> str:
        return f"{self.name} {self.value}" + (f" ({self.change})" if self.change else "")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The metric that says how good an artifact is, of the output and file that lost most."""

    leg: int
    """Which leg of the report it stands in."""
    metric: str
    """The field of `Metrics`."""
    name: str
    """What a person calls it."""
    against_truth: bool
    """Whether it is measured with true values, and float has one of its own."""
    percent: bool
    """Whether it is a share."""


_AGAINST_TRUTH = {"accuracy": "accuracy", "mean_iou": "mean IoU", "mean_ap": "mAP", "r2": "R2"}
_AGAINST_FLOAT = {
    "top1_agreement": "the same answer as float in",
    "pixel_agreement": "the same class as float in",
    "map_agreement": "mAP against float's boxes",
    "neighbour_agreement": "the same neighbours as float in",
    "r2_agreement": "R2 against float",
    "agreement": "equal to float in",
}
LARGER, SMALLER = 1.05, 0.95
"""A file whose float weights are so many times as large is smaller than float; between the two it is as large."""
_LEAST_SHOWN = 0.00005
_NO_SHARE = ("r2", "r2_agreement")


def sentence(report: Report) -> str:
    """Return what was built: ``int8 is 2.2x smaller than float, accuracy 99.66 % (no change), ...``."""
    schemes = " and ".join(dict.fromkeys(item.quantization for item in report.artifacts))
    told = (size(report), quality(report.drift), delegated(report.artifacts))
    parts = [str(one) for one in told[1:] if one is not None]
    return f"{schemes} {_verb(told[0])}" + (f", {', '.join(parts)}" if parts else "")


def _verb(figure: Figure | None) -> str:
    return "was built" if figure is None else f"is {figure.change}"


def size(report: Report) -> Figure | None:
    """Return the size of the files, and how it compares with that of the float weights."""
    if not report.model.float_bytes:
        return None
    sizes = [item.bytes for item in report.artifacts]
    return Figure(
        name="size",
        value=_span([numbers.kilobytes(one) for one in sorted(sizes)]),
        change=_smaller([report.model.float_bytes / max(one, 1) for one in sizes]),
    )


def _smaller(ratios: list[float]) -> str:
    low, high = min(ratios), max(ratios)
    if high < SMALLER:
        return f"{_span([f'{1 / high:.1f}x', f'{1 / low:.1f}x'])} larger than float"
    if low < LARGER:
        return "about as large as float" if high < LARGER else f"at most {high:.1f}x smaller than float"
    return f"{_span([f'{low:.1f}x', f'{high:.1f}x'])} smaller than float"


def _span(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def chosen(drift: DriftReport) -> Chosen | None:
    """Return the task's own metric where there are true values, else how often the answers are float's.

    Larger is better in all of them. None where a task has nothing but decibels.
    """
    ends = [number for number, leg in enumerate(drift.legs) if leg.name == "total"] or list(range(len(drift.legs)))
    for names, truth in ((_AGAINST_TRUTH, True), (_AGAINST_FLOAT, False)):
        for metric, name in names.items():
            known = {
                number: found
                for number in ends
                if (found := _gained(drift.legs[number].metrics, metric, truth=truth)) is not None
            }
            if known:
                leg = min(known, key=lambda number: known[number])
                return Chosen(leg=leg, metric=metric, name=name, against_truth=truth, percent=metric not in _NO_SHARE)
    return None


def _gained(metrics: Metrics, name: str, *, truth: bool) -> float | None:
    value = getattr(metrics, name)
    if not truth or value is None:
        return None if value is None else float(value)
    reference = getattr(metrics, f"reference_{name}")
    return None if reference is None else float(value - reference)


def quality(drift: DriftReport) -> Figure | None:
    """Return how good an artifact is, with its change from float; in decibels where the task has no metric."""
    if (found := chosen(drift)) is not None:
        leg = drift.legs[found.leg]
        value = getattr(leg.metrics, found.metric)
        text = f"{numbers.percent(value, 2)} %" if found.percent else numbers.small(value)
        return Figure(name=found.name, value=text, change=_change(leg, found) if found.against_truth else "")
    ends = [leg for leg in drift.legs if leg.name == "total"] or list(drift.legs)
    ratios = [leg.metrics.sqnr_db for leg in ends if leg.metrics.sqnr_db is not None]
    if ratios:
        return Figure(name="signal to noise against float", value=f"{min(ratios):.1f} dB", change="")
    return Figure(name="outputs", value="identical to float's", change="") if ends else None


def _change(leg: Leg, found: Chosen) -> str:
    gained = getattr(leg.metrics, found.metric) - getattr(leg.metrics, f"reference_{found.metric}")
    text = points(gained) if found.percent else difference(gained)
    return f"{text}, within noise" if within_noise(leg, found) else text


def points(gained: float) -> str:
    """Return a change of a share, in points of per cent."""
    if gained == 0:
        return "no change"
    return f"{100 * gained:+.2f} points" if abs(gained) >= _LEAST_SHOWN else "no change to two digits"


def difference(gained: float) -> str:
    """Return a change of a number that is no share."""
    return f"{gained:+.3g}" if gained else "no change"


def within_noise(leg: Leg, found: Chosen) -> bool:
    """Whether a change cannot be told apart from none: the interval of the loss holds zero."""
    interval = leg.intervals.get(f"{found.metric}_drop")
    if interval is None or interval.low is None or interval.high is None:
        return False
    changed = getattr(leg.metrics, found.metric) != getattr(leg.metrics, f"reference_{found.metric}")
    return changed and interval.low <= 0 <= interval.high


def delegated(artifacts: Sequence[ArtifactInfo]) -> str | None:
    """Say how much runs where it is meant to; nothing of files that nothing was quantized in."""
    chips = [item.on_chip for item in artifacts if item.on_chip is not None]
    if any(chip.executed is Executed.NOT_EXECUTED for chip in chips):
        return "not executed here: the quantized program stands in for it"
    if chips:
        outside = max(len(chip.elsewhere) for chip in chips)
        return f"{outside} operations run outside the chip" if outside else "all of it runs on the chip"
    if all(item.quantization == Scheme.FLOAT for item in artifacts) and not any(item.delegates for item in artifacts):
        return None
    share = numbers.percent(min(item.delegated_fraction for item in artifacts)).removesuffix(".0")
    return f"{share} % runs in the delegate"


def against(report: Report) -> str:
    """Say what was held against what, and what was not measured."""
    planned = max((item.planned_bytes or 0 for item in report.artifacts), default=0)
    memory = f" Planned memory {numbers.kilobytes(planned)}." if planned else ""
    return f"Held against float on {report.baseline}, {report.drift.samples} samples.{memory} Latency not measured."


def show_summary(console: Console, result: BuildResult) -> None:
    """Print three lines for each bundle: what was built, what it was held against, and the verdict."""
    for bundle in result.bundles:
        console.print()
        report = bundle.manifest
        name = f"{report.model.name} for {report.target.name}"
        console.print(Text.assemble((name, "bold"), f": {sentence(report)}."))
        console.print(Text(against(report), "dim"))
        _show_verdict(console, report.verdict == "passed", report.drift, f"Report: {bundle.folder / PAGE_FILE}")


def show_drift_summary(console: Console, drift: DriftReport, what: str) -> None:
    """Print what was measured of something against a baseline, and the verdict."""
    found = quality(drift)
    console.print(Text.assemble((what, "bold"), f": {found}, {drift.samples} samples." if found else ""))
    _show_verdict(console, drift.within_budget, drift, "")


def _show_verdict(console: Console, passed: bool, drift: DriftReport, rest: str) -> None:
    """Print the verdict, and how much is in doubt."""
    word = ("PASSED", "bold green") if passed else ("FAILED", "bold red")
    doubts = sum(len(leg.doubts) for leg in drift.legs)
    doubt = f"{doubts} limit{'s' * (doubts > 1)} not told apart from noise (-v). " if doubts else ""
    console.print(Text.assemble(word, f"  {doubt}{rest}".rstrip()), soft_wrap=True)

"""A profile as a person reads it: the verdict, then what costs most."""

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.cost import Cost
from edgekit.bundles.profile import Classes, LayerValues, Profile, StepGain
from edgekit.model.layers import Sensitivity
from edgekit.render.drift import show_drift
from edgekit.render.layout import heading, indented, simple_table
from edgekit.render.tables import show_verdict

_LAYERS, _OPERATORS, _KINDS, _MOVES = 12, 5, 6, 5
_RIGHT = "right"
# What a person asks for first, by field of `Metrics`: the task's own, against true values where there are any.
_TASKS = {
    "accuracy": "accuracy", "top1_agreement": "top-1", "mean_iou": "mean IoU", "iou_agreement": "IoU agr.",
    "neighbour_agreement": "neighbours", "r2_agreement": "R2 agr.",
}  # fmt: skip


def show_profile(console: Console, profile: Profile, path: str) -> None:
    """Print a profile, and where it was written."""
    heading(console, f"{profile.model} for {profile.target}", f"profiled in {profile.seconds:.0f} s on {profile.host}")
    console.print()
    show_drift(console, profile.drift)
    console.print()
    _layers(console, profile)
    _steps(console, profile.steps)
    _lowering(console, profile)
    _noise(console, profile)
    for classes in profile.classes:
        _classes(console, classes)
    _costs(console, profile.costs)
    for note in profile.notes:
        console.print(Text.assemble(("note: ", "dim"), note), soft_wrap=True)
    for warning in profile.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), warning), soft_wrap=True)
    if profile.paste:
        console.print(Text("For [quantize] in edgekit.toml, to keep the layers that cost most in float:"))
        for line in profile.paste:
            console.print(Text(f"  {line}"), soft_wrap=True)
    failures = list(verdict.of_drift(profile.drift))
    for failure in failures:  # a profile is no gate: no error says it
        console.print(Text.assemble(("over budget: ", "bold red"), failure), soft_wrap=True)
    show_verdict(console, failures, list(verdict.doubts_of(profile.drift)), path)


def _layers(console: Console, profile: Profile) -> None:
    found = profile.sensitivities
    if found is None:
        return
    heading(
        console,
        "layers",
        f"what quantizing each costs, in simulation on {found.compared} samples; all of them: "
        f"{_ratio(found.all_int8_sqnr_db)} dB on {found.samples}",
    )
    console.print()
    values = {one.path: one for one in profile.values}
    metric = _task_metric(found.ranking)
    table = simple_table(
        ("layer", "left"), ("alone dB", _RIGHT), ("all but dB", _RIGHT), ("gain dB", _RIGHT),
        *(((f"{_TASKS[metric]} %", _RIGHT),) if metric else ()), ("clipped %", _RIGHT), ("more kB", _RIGHT),
    )  # fmt: skip
    for one in found.ranking[:_LAYERS]:
        table.add_row(
            Text(one.layer.path),
            _ratio(one.only_sqnr_db),
            _ratio(one.all_but_sqnr_db),
            ("" if one.measured else "~") + _ratio(one.gain_db),
            *([_task(one, metric)] if metric else []),
            _clipped(values.get(one.layer.path)),
            f"{one.layer.extra_bytes / 1000:,.1f}",
        )
    console.print(indented(table))
    if not all(one.measured for one in found.ranking[:_LAYERS]):
        console.print(indented(Text("~ predicted from the layer alone", "dim")))
    if len(found.ranking) > _LAYERS:
        console.print(indented(Text(f"and {len(found.ranking) - _LAYERS} more (--json lists all)", "dim")))
    console.print()


def _task_metric(ranking: tuple[Sensitivity, ...]) -> str | None:
    """Return the field of the metric that a person asks for first."""
    rows = [metrics for one in ranking for metrics in one.only.values()]
    return next((name for name in _TASKS if any(getattr(row, name) is not None for row in rows)), None)


def _task(one: Sensitivity, metric: str) -> str:
    """Return the metric with the layer alone quantized, for the output that has it."""
    found = [getattr(metrics, metric) for metrics in one.only.values()]
    return " ".join(numbers.percent(value, 2) for value in found if value is not None)


def _clipped(values: LayerValues | None) -> str:
    if values is None or not values.values:
        return ""
    worst = max(one.saturated / max(one.values, 1) for one in values.values)
    return numbers.percent(worst, 2)


def _lowering(console: Console, profile: Profile) -> None:
    heading(console, "lowering", "each artifact against the quantized program")
    for leg in profile.lowering:
        what = "computes what the program does, up to rounding" if leg.first is None else f"departs at {leg.first}"
        if len(leg.observed) == 1 and leg.first is None:
            what = f"{leg.observed[0].name} at {_ratio(leg.observed[0].sqnr_db)} dB"
        console.print(indented(Text.assemble(f"{leg.artifact}  {what}  ", (leg.note, "dim"))))
    console.print()


def _steps(console: Console, steps: tuple[StepGain, ...]) -> None:
    if not steps:
        return
    unseen = f"what each gives on {steps[0].samples} samples that were not calibrated; SQNR of what varies over them"
    heading(console, "steps of the quantizer", unseen)
    console.print()
    table = simple_table(
        ("step", "left"), ("scheme", "left"), ("with dB", _RIGHT), ("without dB", _RIGHT), ("gain dB", _RIGHT)
    )
    for one in sorted(steps, key=lambda one: -one.gain_db):
        table.add_row(
            one.step, one.scheme, _ratio(one.sqnr_db), _ratio(one.without_sqnr_db), Text(f"{one.gain_db:+.2f}")
        )
    console.print(indented(table))
    console.print()


def _noise(console: Console, profile: Profile) -> None:
    if not profile.noise:
        return
    heading(console, "the server's own noise", "the float model in other precisions, against the baseline")
    console.print()
    table = simple_table(
        ("precision", "left"), ("output", "left"), ("SQNR dB", _RIGHT), ("top-1 %", _RIGHT), ("place", "left")
    )
    for one in profile.noise:
        agreed = "" if one.top1_agreement is None else numbers.percent(one.top1_agreement, 2)
        table.add_row(one.precision, one.output, _ratio(one.sqnr_db), agreed, Text(one.place))
    console.print(indented(table))
    console.print()


def _classes(console: Console, classes: Classes) -> None:
    total = sum(one.samples for one in classes.classes)
    heading(console, f"answers of {classes.artifact}", f"{classes.changed_count} of {total} changed")
    for before, after, count in classes.moved[:_MOVES]:
        console.print(indented(Text(f"{before} became {after}: {count}")))
    console.print()


def _costs(console: Console, costs: tuple[Cost, ...]) -> None:
    first = costs[0].latency
    warm_up, runs = (max(getattr(one.latency, name) for one in costs) for name in ("warm_up", "runs"))
    threads = f"{first.threads} thread{'s' * (first.threads > 1)}"
    heading(
        console,
        "cost",
        f"one sample, {threads}, up to {warm_up} runs to warm up, {runs} timed, on this host",
    )
    console.print()
    table = simple_table(
        ("artifact", "left"), ("kB", _RIGHT), ("load ms", _RIGHT), ("first ms", _RIGHT), ("median ms", _RIGHT),
        ("p90 ms", _RIGHT), ("p99 ms", _RIGHT), ("memory MB", _RIGHT), ("delegated %", _RIGHT),
    )  # fmt: skip
    for one in costs:
        table.add_row(
            one.artifact,
            f"{one.file_bytes / 1000:,.1f}",
            f"{one.load_ms:.2f}",
            f"{one.first_ms:.2f}",
            f"{one.latency.median_ms:.3f}",
            f"{one.latency.p90_ms:.3f}",
            f"{one.latency.p99_ms:.3f}",
            f"{one.peak_memory_bytes / 1e6:.1f}",
            numbers.percent(one.delegated_fraction),
        )
    console.print(indented(table))
    console.print()
    for one in costs:
        if one.precision == "quantized" and one.operators:
            _operators(console, one)


def _operators(console: Console, cost: Cost) -> None:
    heading(console, f"operations of {cost.artifact}", cost.operators_note)
    console.print()
    table = simple_table(("kind", "left"), ("calls", _RIGHT), ("us", _RIGHT), ("share %", _RIGHT))
    for kind in cost.kinds[:_KINDS]:
        table.add_row(Text(kind.operator), str(kind.calls), f"{1000 * kind.mean_ms:.1f}", numbers.percent(kind.share))
    console.print(indented(table))
    slowest = sorted(cost.operators, key=lambda one: -one.mean_ms)[:_OPERATORS]
    table = simple_table(("slowest", "left"), ("layer", "left"), ("us", _RIGHT), ("share %", _RIGHT))
    for one in slowest:
        table.add_row(Text(one.name), Text(one.layer or ""), f"{1000 * one.mean_ms:.1f}", numbers.percent(one.share))
    console.print(indented(table))
    if cost.outside_share is not None:
        console.print(
            indented(Text(f"outside the delegate: {numbers.percent(cost.outside_share)} % of the time", "dim"))
        )
    if cost.float_share is not None:
        console.print(indented(Text(f"in float: {numbers.percent(cost.float_share)} % of the time", "dim")))
    console.print()


def _ratio(value: float | None) -> str:
    return "identical" if value is None else f"{value:.2f}"

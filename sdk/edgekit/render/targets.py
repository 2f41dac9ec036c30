"""Chips and targets as a person reads them: where a file was executed, and all targets of a build side by side."""

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.bundles.result import BuildResult
from edgekit.drift.report import Leg
from edgekit.model.onchip import Executed, OnChip
from edgekit.render.layout import heading, indented, simple_table


def show_on_chip(console: Console, item: ArtifactInfo) -> None:
    """Print where a file was executed, and what the chip's own tools say of it; of a CPU nothing."""
    if item.on_chip is None:
        return
    color = "yellow" if item.on_chip.executed is Executed.NOT_EXECUTED else "dim"
    for line in on_chip_lines(item.file, item.on_chip):
        console.print(indented(Text(line, color)))


def on_chip_lines(file: str, told: OnChip) -> list[str]:
    """Say in a few lines where a file was executed and what was seen of it."""
    lines = [f"{file} for {told.chip}: {_executed(told)}"]
    if told.executed is not Executed.NOT_EXECUTED:
        elsewhere = f"outside the chip: {numbers.shortened(told.elsewhere)}" if told.elsewhere else "all on the chip"
        lines[0] += f"; {elsewhere}"
    elif told.elsewhere:
        lines.append(f"{file} in float: {numbers.shortened(told.elsewhere)}")
    if told.figures:
        figures = (f"{name.replace('_', ' ')} {numbers.figure(value)}" for name, value in told.figures.items())
        lines.append(f"{file}: {', '.join(figures)}")
    return [*lines, *(f"{one.file}: {one.bytes / 1000:,.1f} kB, compiled for {one.soc}" for one in told.compiled)]


def _executed(told: OnChip) -> str:
    if told.executed is Executed.NOT_EXECUTED:
        return f"not executed, {told.library}; its program stands in"
    return f"{told.executed} by {told.library}, {told.samples} samples"


def show_targets(console: Console, result: BuildResult) -> None:
    """Print all targets of a build side by side, those that were not built with the reason."""
    heading(console, "targets", "")
    table = simple_table(
        ("target", "left"), ("file", "left"), ("answers", "left"), ("SQNR dB", "right"), ("agreement", "right"),
        ("on chip", "right"), ("kB", "right"), ("verdict", "left"),
    )  # fmt: skip
    for bundle in result.bundles:
        for item in bundle.manifest.artifacts:
            table.add_row(*_row(bundle.manifest, item))
    if result.bundles:
        console.print(indented(table))
    for one in result.not_built:
        word = ("NOT BUILT: ", "bold red") if one.failed else ("not built: ", "yellow")
        console.print(
            Text.assemble(word, f"{one.target}: {one.error.message} {one.error.hint}".strip()), soft_wrap=True
        )
    failed = [bundle.manifest.target.name for bundle in result.bundles if not bundle.passed]
    total = f"{len(result.bundles) - len(failed)} of {len(result.bundles) + len(result.not_built)} targets passed"
    console.print(Text(total + (f"; over budget: {', '.join(failed)}" if failed else ""), "bold"), soft_wrap=True)


def _row(manifest: Manifest, item: ArtifactInfo) -> list[Text]:
    legs = [leg for leg in manifest.drift.legs if leg.name == "total" and leg.artifact == item.file]
    ratios = [leg.metrics.sqnr_db for leg in legs if leg.metrics.sqnr_db is not None]
    executed = Executed.HOST if item.on_chip is None else item.on_chip.executed
    inside = item.delegated_fraction if item.on_chip is None else float(not item.on_chip.elsewhere)
    passed = manifest.verdict == "passed"
    return [
        Text(manifest.target.name),
        Text(item.file),
        Text(executed, "yellow" if executed is Executed.NOT_EXECUTED else ""),
        Text(f"{min(ratios):.1f}" if ratios else ""),
        Text(_agreement(legs)),
        Text(f"{numbers.percent(inside)} %"),
        Text(f"{item.bytes / 1000:,.1f}"),
        Text("passed" if passed else "FAILED", "green" if passed else "bold red"),
    ]


def _agreement(legs: list[Leg]) -> str:
    """Return how many answers are the reference's: of a classifier its first class, of integers themselves."""
    shares = [
        share for leg in legs for share in (leg.metrics.top1_agreement, leg.metrics.agreement) if share is not None
    ]
    return f"{numbers.percent(min(shares))} %" if shares else ""

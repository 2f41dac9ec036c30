"""Targets, new projects, the cache and the doctor's results as a person reads them."""

import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text

from edgekit.base.cache import Cache, Kept
from edgekit.inspection.doctor import Check
from edgekit.render.layout import fields, heading, indented, simple_table
from edgekit.spec import Limits, Target
from edgekit.spec.limits import given

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def show_targets(console: Console, targets: tuple[Target, ...]) -> None:
    """Print one row for each target."""
    table = simple_table(("target", "left"), ("formats", "left"), ("for", "left"))
    for target in targets:
        table.add_row(Text(target.name, "bold"), ", ".join(target.formats), Text(target.summary))
    console.print(table)


def show_target(console: Console, target: Target) -> None:
    """Print a profile."""
    heading(console, target.name, target.summary)
    grid = fields()
    grid.add_row("device", f"{target.platform}, {target.cpu}")
    grid.add_row("formats", ", ".join(target.formats))
    grid.add_row("quantization", str(target.quantization))
    grid.add_row("pte", f"delegate {target.pte.delegate}")
    grid.add_row("onnx", f"{target.onnx.activations} activations, {target.onnx.weights} weights")
    share, overhead = target.size.max_share, target.size.overhead_bytes
    grid.add_row("size", f"at most {100 * share:g} % of the float weights plus {overhead / 1000:g} kB")
    for place, version in target.runtimes.items():
        grid.add_row("runtime", Text(f"{place} {version}"))
    for leg, limits in target.budget.resolved.legs.items():
        grid.add_row("budget", f"{leg}: {_limits(limits)}")
    console.print(indented(grid))


def _limits(limits: Limits) -> str:
    return ", ".join(f"{rule.name} {limit:g}" for rule, limit in given(limits)) or "no limits"


def show_new_project(console: Console, folder: Path, files: tuple[Path, ...], target: str | None = None) -> None:
    """Print what was written, and the next step."""
    for file in files:
        console.print(Text(f"wrote {file}"), soft_wrap=True)
    place, wanted = shlex.quote(str(folder)), shlex.quote(target or "android-arm64")
    build = f"edgekit build --target {wanted}" + ("" if folder == Path() else f" --project {place}")
    console.print(Text(f"Next: look at {folder / 'edgekit.toml'}, then: {build}"), soft_wrap=True)


def show_cache(console: Console, cache: Cache, kept: tuple[Kept, ...], kit: Kept | None = None) -> None:
    """Print where the cache is and how full, and what lies beside it and does not count."""
    table = simple_table(("kind", "left"), ("entries", "right"), ("MB", "right"))
    for kind in kept:
        table.add_row(kind.kind, str(kind.entries), f"{kind.bytes / 1e6:,.1f}")
    console.print(table)
    total = sum(kind.bytes for kind in kept)
    console.print(Text(f"{total / 1e6:,.1f} of {cache.limit / 1e6:,.0f} MB in {cache.folder}"), soft_wrap=True)
    if kit is not None:
        way_out = "edgekit cache clear --kit removes it"
        line = f"beside it, {kit.bytes / 1e6:,.1f} MB: {kit.kind}, which emulates ARM; {way_out}"
        console.print(Text(line, "dim"), soft_wrap=True)


def show_checks(console: Console, checks: tuple[Check, ...]) -> None:
    """Print one row for each check, and the way out below those that found something."""
    table = simple_table(("", "left"), ("check", "left"), ("found", "left"), ("wanted", "left"))
    for check in checks:
        mark = Text("FAIL" if check.status == "fail" else check.status, STYLES[check.status])
        table.add_row(mark, Text(check.name), Text(check.found), Text(check.wanted))
    console.print(table)
    troubled = [check for check in checks if check.remedy and check.status != "ok"]
    if troubled:
        console.print()
        heading(console, "what to do")
        grid = fields()
        for check in troubled:
            grid.add_row(Text(check.name, STYLES[check.status]), Text(check.remedy))
        console.print(indented(grid))

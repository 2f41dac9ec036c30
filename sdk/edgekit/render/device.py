"""What a bundle did on a phone, as a person reads it."""

from rich.console import Console
from rich.text import Text

from edgekit.bundles import verdict
from edgekit.bundles.cost import Cost
from edgekit.bundles.device_profile import DeviceProfile
from edgekit.bundles.profile import Profile
from edgekit.render.drift import show_drift
from edgekit.render.layout import heading, indented, simple_table
from edgekit.render.tables import show_verdict

_TIMES = ("load_ms", "first_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms")


def show_device(console: Console, found: DeviceProfile, host: Profile | None, path: str) -> None:
    """Print drift, times beside the host's, the verdict, and where it was written.

    Args:
        console: Where to print.
        found: What the phone did.
        host: What profiling the same bundle measured on a machine, for its times.
        path: The file that it was written to.
    """
    device = found.device
    place = ", ".join(filter(None, (device.name, device.soc, device.cpu, device.os)))
    heading(console, f"{found.model} for {found.target}", f"on {place}")
    console.print()
    show_drift(console, found.drift)
    console.print()
    _times(console, found, host)
    for warning in found.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), warning), soft_wrap=True)
    show_verdict(console, failures(found), [], path)


def failures(found: DeviceProfile) -> list[str]:
    """Return one line for each limit that is broken and each artifact that failed for another reason."""
    lines = list(verdict.of_drift(found.drift))
    lines += [f"{one.artifact}: {one.reason or 'not run'} ({one.failure})" for one in found.broken]
    if not lines and found.verdict == "failed":
        reasons = [f"{one.artifact}: {one.reason}" for one in found.artifacts if one.status == "failed" and one.reason]
        lines = reasons or ["the app's own verdict is failed"]
    return lines


def _times(console: Console, found: DeviceProfile, host: Profile | None) -> None:
    right = "right"
    heading(console, "times", "one sample, in milliseconds")
    console.print()
    titles = [(name.replace("_ms", ""), right) for name in _TIMES]
    table = simple_table(
        ("artifact", "left"), ("on", "left"), *titles, ("runs", right), ("threads", right)
    )  # fmt: skip
    costs = {one.artifact: one for one in (host.costs if host else ()) if one.precision == "quantized"}
    for one in found.artifacts:
        cells = [_milliseconds(getattr(one, name)) for name in _TIMES]
        table.add_row(
            *map(Text, (one.artifact, one.runtime or one.status, *cells, _whole(one.runs), _whole(one.threads))),
            style="" if one.status != "skipped" else "dim",
        )
        if one.artifact in costs:
            table.add_row(*map(Text, _host(costs[one.artifact])), style="dim")
    console.print(indented(table))
    if not costs:
        console.print(indented(Text("The host's times are not measured: edgekit profile BUNDLE", "dim")))
    console.print()


def _host(cost: Cost) -> tuple[str, ...]:
    times = (cost.load_ms, cost.first_ms, cost.latency.median_ms, cost.latency.p90_ms, None, cost.latency.p99_ms)
    return ("", "this host", *map(_milliseconds, times), _whole(cost.latency.runs), _whole(cost.latency.threads))


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)

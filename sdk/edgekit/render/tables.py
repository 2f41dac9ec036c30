"""Results as a person reads them."""

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.bundles.native import NATIVE_FOLDER, Native
from edgekit.bundles.result import BuildResult, Built
from edgekit.data.trace import Trace
from edgekit.drift.report import DriftReport
from edgekit.render.drift import show_drift
from edgekit.render.float_layers import show_float_layers
from edgekit.render.layout import fields, heading, indented, simple_table
from edgekit.render.left_out import left_out_lines
from edgekit.render.targets import show_on_chip, show_targets
from edgekit.render.terminal import symbol


def show_build(console: Console, result: BuildResult) -> None:
    """Print one row for each artifact of a build, and what became of the targets."""
    for bundle in result.bundles:
        manifest, name = bundle.manifest, bundle.manifest.target.name
        console.print()
        if len(result.bundles) > 1:
            heading(console, name)
        show_artifacts(console, manifest, result.peaks.get(name, {}))
        show_float_layers(console, manifest)
        _show_native(console, bundle, result.native.get(name), result.native_peaks.get(name))
    if len(result.bundles) + len(result.not_built) > 1:
        console.print()
        show_targets(console, result)
    console.print()


def show_details(console: Console, result: BuildResult) -> None:
    """Print for each bundle of a build what is outside of the delegate and in float, the drift and the limits."""
    for bundle in result.bundles:
        show_bundle(console, bundle)


def show_bundle(console: Console, bundle: Built) -> None:
    """Print what of a bundle is outside of the delegate and in float, its drift and its limits."""
    manifest = bundle.manifest
    console.print()
    heading(console, f"{manifest.model.name} for {manifest.target.name}", f"{manifest.model.parameters:,} parameters")
    console.print()
    show_left_out(console, manifest)
    console.print()
    heading(console, "drift", f"against {manifest.baseline}")
    console.print()
    show_drift(console, manifest.drift)
    _show_doubts(console, manifest.drift)


def _show_native(console: Console, bundle: Built, native: Native | None, peak: int | None) -> None:
    if native is None:
        return
    read = f", reads {', '.join(native.pictures)}" if native.pictures else ""
    line = f"{bundle.folder / NATIVE_FOLDER}  {native.bytes / 1e6:.2f} MB, {native.runtime}, {native.cpu}{read}"
    line += "" if peak is None else f", peak memory {peak / 1e6:.1f} MB"
    console.print(Text.assemble(("native  ", "bold"), line), soft_wrap=True)


def show_artifacts(console: Console, manifest: Manifest, peaks: Mapping[str, int] | None = None) -> None:
    """Print one row for each artifact, with the batches that it was verified with, and its peak memory if known."""
    right = "right"
    measured = (("peak kB", right),) if peaks else ()
    table = simple_table(
        ("artifact", "left"), ("scheme", "left"), ("kB", right), ("of float", right), ("limit kB", right),
        ("delegated", right), ("int8", right), ("plans kB", right), *measured, ("batches", "left"),
    )  # fmt: skip
    for item in manifest.artifacts:
        *row, batches = _artifact_row(console, item, manifest.model.float_bytes)
        if peaks:
            row.append(Text(f"{peaks[item.file] / 1000:,.0f}" if item.file in peaks else ""))
        table.add_row(*row, batches)
    console.print(indented(table))


def show_left_out(console: Console, manifest: Manifest) -> None:
    """Print what each artifact computes outside of its delegate or in float, and why."""
    for item in manifest.artifacts:
        if item.not_delegated:
            names = numbers.shortened(item.not_delegated)
            line = Text.assemble((f"{item.file} not delegated: ", "yellow"), names)
            console.print(indented(line))
        for told in left_out_lines(item):
            console.print(indented(Text(told, "dim")))
        show_on_chip(console, item)


def _artifact_row(console: Console, item: ArtifactInfo, float_bytes: int) -> list[Text]:
    mark = (symbol(console, "✓", "ok"), "green") if item.within_size else ("!", "bold red")
    batches = ", ".join(map(str, item.verified_batches)) or "none"
    return [
        Text(item.file),
        Text(item.quantization),
        Text(f"{item.bytes / 1000:,.1f}"),
        Text(f"{numbers.percent(item.bytes / float_bytes)} %" if float_bytes else ""),
        Text.assemble(f"{item.size_limit / 1000:,.1f} ", mark),
        Text(f"{numbers.percent(item.delegated_fraction)} %"),
        Text(f"{numbers.percent(item.int8_fraction)} %"),
        Text("" if item.planned_bytes is None else f"{item.planned_bytes / 1000:,.1f}"),
        Text(batches, "" if item.verified_batches else "yellow"),
    ]


def _show_doubts(console: Console, report: DriftReport) -> None:
    for doubt in verdict.doubts_of(report):
        console.print(Text.assemble(("noise: ", "yellow"), doubt), soft_wrap=True)


def show_verdict(console: Console, failures: list[str], doubts: list[str], what: str) -> None:
    """Print PASSED or FAILED, what may be noise, and what was judged; what failed is for the error to say, once."""
    for doubt in doubts:
        console.print(Text.assemble(("noise: ", "yellow"), doubt), soft_wrap=True)
    word = ("FAILED", "bold red") if failures else ("PASSED", "bold green")
    console.print(Text.assemble(word, "  ", what), soft_wrap=True)


def show_comparison(console: Console, report: DriftReport) -> None:
    """Print a drift report, and the limits whose break may be noise."""
    console.print()
    show_drift(console, report)
    _show_doubts(console, report)


def show_trace(console: Console, trace: Trace, path: str) -> None:
    """Print what is in a trace and where it was computed."""
    origin = trace.origin
    heading(console, path, f"{len(trace)} samples")
    grid = fields()
    for name, array in trace.samples.inputs.items():
        grid.add_row("input", f"{name}  {array.dtype.name}  {numbers.shape(array.shape)}")
    for name, array in trace.outputs.items():
        grid.add_row("output", f"{name}  {array.dtype.name}  {numbers.shape(array.shape)}")
    labels = trace.samples.labels
    grid.add_row("labels", "none" if labels is None else f"{len(labels)}")
    for name, array in trace.samples.targets.items():
        grid.add_row("target", f"{name}  {array.dtype.name}  {numbers.shape(array.shape)}")
    grid.add_row("program", origin.program)
    grid.add_row("place", origin.place)
    for other in trace.beside:
        grid.add_row("beside it", other.origin.place)
    grid.add_row("kernels", origin.kernels)
    grid.add_row("versions", ", ".join(f"{name} {version}" for name, version in sorted(origin.versions.items())))
    console.print(indented(grid))
    if warning := place_warning(trace):
        console.print(Text.assemble(("warning: ", "bold yellow"), warning), soft_wrap=True)


def place_warning(trace: Trace) -> str:
    """Return why a baseline proves less than it could, or nothing."""
    if trace.origin.program == "float" and trace.origin.device == "cpu":
        return (
            "recorded on a CPU, not on a server GPU; the drift measured against it leaves out what the GPU computes "
            "differently. Record it there with: edgekit baseline record --device cuda"
        )
    return ""

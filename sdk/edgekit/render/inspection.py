"""What is inside a file, as a person reads it."""

from collections.abc import Iterable
from typing import assert_never

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgekit.base.numbers import kilobytes, shape
from edgekit.inspection import BundleFolder, Inspection, OnnxFile, PteFile, Tensor, TraceFile
from edgekit.inspection.values import Count
from edgekit.render.layout import fields, heading, indented
from edgekit.targets.runtimes.check import Certainty

STYLES = {Certainty.MISSING: "bold red", Certainty.DOUBTFUL: "yellow", Certainty.UNKNOWN: "dim"}


def show(console: Console, found: Inspection) -> None:
    """Print an inspection."""
    grid = fields()
    match found:
        case PteFile():
            title = "ExecuTorch program"
            _pte(grid, found)
        case OnnxFile():
            title = "ONNX model"
            _onnx(grid, found)
        case TraceFile():
            title = "trace"
            _trace(grid, found)
        case BundleFolder():
            title = "bundle"
            _bundle(grid, found)
        case _:
            assert_never(found)
    heading(console, found.path, title)
    console.print(indented(grid))


def _pte(grid: Table, found: PteFile) -> None:
    _file(grid, found)
    _tensors(grid, found)
    if not found.delegates:
        grid.add_row("delegates", Text("none: everything runs in portable kernels", "yellow"))
    for delegate in found.delegates:
        grid.add_row("delegate", f"{delegate.backend}  x {delegate.count}  {kilobytes(delegate.bytes)} of programs")
    grid.add_row("operators", _counts(found.operators) or "none outside the delegates")
    grid.add_row("constants", kilobytes(found.constant_bytes))
    grid.add_row("memory", f"{kilobytes(found.planned_memory_bytes)} planned for the largest shapes")


def _onnx(grid: Table, found: OnnxFile) -> None:
    _file(grid, found)
    grid.add_row("opset", ", ".join(f"{item.name} {item.count}" for item in found.opsets))
    grid.add_row("IR version", str(found.ir_version))
    grid.add_row("producer", found.producer or "not named")
    _tensors(grid, found)
    grid.add_row("operators", _counts(found.operators))
    counts = {
        "QuantizeLinear": found.quantize_nodes,
        "DequantizeLinear": found.dequantize_nodes,
        "DynamicQuantizeLinear": found.dynamic_quantize_nodes,
    }
    if any(counts.values()):
        grid.add_row("quantization", ", ".join(f"{count} {name}" for name, count in counts.items() if count))
    else:
        grid.add_row("quantization", Text("none: a float model", "yellow"))
    for item in found.weights:
        grid.add_row("weights", f"{item.dtype}  {kilobytes(item.bytes)} in {item.tensors} tensors")


def _trace(grid: Table, found: TraceFile) -> None:
    _file(grid, found)
    grid.add_row("program", found.program)
    grid.add_row("place", found.place)
    grid.add_row("kernels", found.kernels)
    if found.provider is not None:
        grid.add_row("provider", found.provider)
    grid.add_row("samples", f"{found.samples}, {'with' if found.labels else 'without'} labels")
    _tensors(grid, found)
    _versions(grid, "versions", found.versions)


def _bundle(grid: Table, found: BundleFolder) -> None:
    grid.add_row("model", f"{found.model}, {found.parameters:,} parameters")
    grid.add_row("target", found.target)
    grid.add_row("verdict", Text(found.verdict, "green" if found.verdict == "passed" else "bold red"))
    grid.add_row("baseline", found.baseline)
    _tensors(grid, found)
    grid.add_row("classes", str(found.labels) if found.labels else "no labels")
    grid.add_row("quantization", ", ".join(f"{file} {scheme}" for file, scheme in found.quantization.items()))
    for file in found.files:
        grid.add_row("file", f"{file.file}  {kilobytes(file.bytes)}  unchanged")
    _versions(grid, "runtime", found.runtimes)
    for result in found.compatibility:
        grid.add_row(result.certainty.value, Text(result.says, STYLES[result.certainty]))
    _versions(grid, "made with", found.producer)


def _file(grid: Table, found: PteFile | OnnxFile | TraceFile) -> None:
    grid.add_row("size", kilobytes(found.bytes))
    grid.add_row("sha256", found.sha256)


def _tensors(grid: Table, found: Inspection) -> None:
    for word, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            grid.add_row(word, _tensor(tensor))


def _tensor(tensor: Tensor) -> str:
    bound = "at most " if tensor.bound else ""
    return f"{tensor.name}  {tensor.dtype}  {bound}{shape(tensor.shape)}".strip()


def _counts(counts: Iterable[Count]) -> str:
    return ", ".join(f"{item.name} x {item.count}" for item in sorted(counts, key=lambda item: -item.count))


def _versions(grid: Table, word: str, versions: dict[str, str]) -> None:
    grid.add_row(word, ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or "not named")

"""The ``compare`` verb: hold a bundle, an artifact or a trace against a baseline."""

from pathlib import Path

from edgekit import bundles
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import host_is_x86
from edgekit.data import trace
from edgekit.data.trace import Trace
from edgekit.drift import custom
from edgekit.drift.compare import leg_of
from edgekit.drift.report import DriftReport, Leg, LegName
from edgekit.errors import BundleError
from edgekit.execution.artifact import open_artifact
from edgekit.execution.artifact import trace as run_artifact
from edgekit.execution.steady import steady_batch
from edgekit.model import programs
from edgekit.spec import DEFAULT_BUDGET, Budget, Cpu, Format, Scheme, TensorSpec
from edgekit.spec.dimensions import filled, fixed
from edgekit.spec.project import OpenProject

# What a device computed is held against a bundle, see `device`.
_LEG_OF: dict[str, LegName] = {"float": "server", "quantized": "quantization", "artifact": "total"}


def compare_path(path: Path, baseline: Trace, project: OpenProject, progress: Progress) -> DriftReport:
    """Measure how far what lies at ``path`` is from the baseline, on the baseline's samples.

    A bundle is held against the budget in its manifest; a bare artifact or a trace against the project's
    over the default one.

    Args:
        path: A bundle folder, a .pte, an .onnx or a trace.
        baseline: The reference.
        project: Names the outputs and the budget.
        progress: Told about every stage.

    Raises:
        BundleError: If the file is missing, damaged, or of no kind that is known here.
        RunError: If an artifact does not load or run.
        DataError: If the traces do not fit each other.
        ProjectError: If a metric of the project's own fails.
    """
    stages = Stages(progress)
    own = custom.load(project)
    budget = DEFAULT_BUDGET.updated(project.spec.budget)
    found: list[tuple[Path, Format, Scheme | None, tuple[int, ...]]]
    if path.is_dir():
        manifest = bundles.read(path)
        budget, cpu = manifest.budget, manifest.target.cpu
        tensors = manifest.inputs, manifest.outputs
        found = [
            (path / info.file, info.format, info.quantization, info.verified_batches) for info in manifest.artifacts
        ]
    elif path.suffix in {f".{format}" for format in Format}:
        project, _ = programs.complete(project)
        one = fixed(project.spec.sizes)
        tensors = filled(project.spec.taken, one), filled(project.spec.tensors, one)
        first = tensors[0][0].shape[0]
        batch = first if isinstance(first, int) else min(64, project.spec.sizes[first].max)
        cpu = Cpu.X86_64 if host_is_x86() else Cpu.ARM64
        found = [(path, Format(path.suffix[1:]), None, (batch,))]
    elif path.suffix == ".npz":
        candidate = trace.load(path)
        project, _ = programs.complete(project)
        leg = _LEG_OF[candidate.origin.program]
        legs = leg_of(budget, leg, baseline, candidate, project.spec.tensors, own=own)
        return _report(baseline, legs, budget)
    else:
        raise BundleError(
            f"{path} is {'no bundle, artifact or trace' if path.exists() else 'missing'}.",
            hint="Give a bundle folder, a .pte, an .onnx or a trace (.npz).",
        )
    measured: list[Leg] = []
    for file, format, scheme, sizes in found:
        with stages(f"run {file.name}"):
            candidate = _run(file, (format, scheme), cpu, baseline, tensors, sizes)
            measured += leg_of(budget, "total", baseline, candidate, tensors[1], artifact=file.name, own=own)
    return _report(baseline, tuple(measured), budget)


def _report(baseline: Trace, legs: tuple[Leg, ...], budget: Budget) -> DriftReport:
    return DriftReport(
        samples=len(baseline),
        samples_sha256=baseline.samples.digest,
        bootstrap=budget.bootstrap,
        legs=legs,
        notes=notes(baseline),
    )


def notes(baseline: Trace) -> tuple[str, ...]:
    """Say what a reader must know about a baseline."""
    if baseline.origin.device == "cpu":
        return (f"The baseline was recorded on a CPU, not on a GPU server: {baseline.origin.place}.",)
    return ()


def _run(
    path: Path,
    kind: tuple[Format, Scheme | None],
    cpu: Cpu,
    baseline: Trace,
    tensors: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]],
    sizes: tuple[int, ...],
) -> Trace:
    if not path.is_file():
        raise BundleError(f"There is no file {path}.", hint="edgekit build writes bundles to artifacts/MODEL/TARGET.")
    format, scheme = kind
    opened = open_artifact(format, path, cpu, *tensors)
    batch = steady_batch(format, scheme, sizes)
    return run_artifact(opened, cpu, baseline.samples, batch=batch, model=baseline.origin.model, scheme=scheme)

"""The ``bisect`` verb: where two computations of one model part."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import assert_never

from edgekit import bundles, targets
from edgekit.base import atomic
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.bundles.bisection import Bisection, Compared, Suspect
from edgekit.bundles.manifest import Manifest
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import BundleError, QuantizeError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_quantized
from edgekit.inspection.onnx import inspect
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.pipeline.bisecting import reproducer
from edgekit.pipeline.bisecting.narrow import narrow
from edgekit.pipeline.job import Job
from edgekit.pipeline.profiling import departures
from edgekit.pipeline.profiling.remake import Requantized, check_owner, relower, requantize
from edgekit.pipeline.profiling.suspects import all_layers
from edgekit.quantization.sensitivity import rows, sensitivities
from edgekit.quantization.simulate import Simulation
from edgekit.spec import DYNAMIC, STATIC_INT8, Format, Target

_PLAN = {"load": 1.0, "capture": 3.0, "quantize": 10.0, "lower": 10.0, "compare": 5.0}
# A layer whose rounding alone costs so much more than that of the median layer stands out.
_STANDS_OUT_DB = 10.0


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A file to hold against the program of its format."""

    name: str
    format: Format
    source: Path | bytes
    """The bytes that were lowered here, or the file that somebody gave us."""


def bisect(
    folder: Path,
    load: Callable[[], Job],
    progress: Progress,
    *,
    other: Path | None = None,
    target: str | Path | None = None,
    cache: Cache | None = None,
    output: Path | None = None,
) -> Bisection:
    """Find the first operation at which artifacts part from the quantized program of a bundle.

    Args:
        folder: The bundle, whose program is taken for right. It is made once more from the project.
        load: Loads what it was built from.
        progress: Told about every stage.
        other: A .pte, an .onnx or a second bundle to hold against the program; the bundle's own artifacts unless given.
        target: The bundle's target by name or path; by the name in the bundle unless given.
        cache: Where lowered artifacts are kept; None lowers always.
        output: Folder for the reproducers, which is replaced; None writes none.

    Raises:
        BundleError: If there is no bundle, or it or ``other`` is no file of one.
        ProjectError: If the bundle is of another project, or the project has changed since.
        EdgeKitError: A subclass for a stage that failed.
    """
    manifest = bundles.read(folder)
    if output is not None:
        check_place(output)
    given = None if other is None else _candidates(other)
    job, made, wanted, stages = _made(folder, manifest, load, progress, target)
    own = relower(made, manifest, wanted, stages, cache)
    candidates = given or tuple(_Candidate(name=one.file, format=one.format, source=one.data) for one in own)
    compared = []
    with stages("compare"):
        for one in candidates:
            if one.format not in made.programs:
                raise BundleError(
                    f"{folder} has no {one.format} to hold {one.name} against.", hint="Build both formats of it."
                )
            compared.append(_compared(one, made.programs[one.format], job, wanted, output))
    return Bisection(first=f"{folder}: program", second=str(other or folder), compared=tuple(compared))


def bisect_float(
    folder: Path, load: Callable[[], Job], progress: Progress, *, target: str | Path | None = None
) -> Bisection:
    """Find the first layer whose own rounding stands out between the float model and the quantized program.

    Args:
        folder: The bundle.
        load: Loads what it was built from.
        progress: Told about every stage.
        target: The bundle's target by name or path; by the name in the bundle unless given.

    Raises:
        QuantizeError: If its scheme has no static int8 program.
        EdgeKitError: As `bisect` does.
    """
    manifest = bundles.read(folder)
    job, made, _, stages = _made(folder, manifest, load, progress, target)
    if made.simulation is None:
        raise QuantizeError(
            f"{folder} has no layers in static int8, which can be switched one by one.",
            hint="Build it with the scheme int8.",
        )
    with stages("compare"):
        suspect = standing_out(made.simulation, job.evaluation)
    return Bisection(first="float", second=f"{folder}: program", suspect=suspect)


def check_place(output: Path) -> None:
    """Make sure that nothing but a reproducer is replaced.

    Raises:
        BundleError: If the folder holds something else.
    """
    if output.exists() and (not output.is_dir() or {one.name for one in output.iterdir()} - reproducer.FILES):
        raise BundleError(
            f"{output} holds something that is no reproducer, and is left alone.", hint="Name a folder with --output."
        )


def standing_out(simulation: Simulation, evaluation: Samples) -> Suspect | None:
    """Return the first layer, in the order of the graph, that costs far more alone than the median layer does."""
    found = sensitivities(simulation, evaluation.rows(rows(simulation, len(evaluation))))
    costs = {one.layer.path: one.only_sqnr_db for one in found.ranking if one.only_sqnr_db is not None}
    if not costs:
        return None
    usual = median(costs.values())
    for layer in all_layers(simulation, simulation.captured):
        if (cost := costs.get(layer.path)) is not None and cost < usual - _STANDS_OUT_DB:
            return Suspect(path=layer.path, kind=layer.kind, only_sqnr_db=cost, median_db=usual)
    return None


def _made(
    folder: Path, manifest: Manifest, load: Callable[[], Job], progress: Progress, target: str | Path | None
) -> tuple[Job, Requantized, Target, Stages]:
    wanted = targets.load(target or manifest.target.name)
    stages = Stages(progress, _PLAN)
    with stages("load"):
        job = load()
        check_owner(job, manifest, folder)
    with stages("capture"):
        captured = capture(job.source, job.calibration, job.memory)
    return job, requantize(job, manifest, captured, stages), wanted, stages


def _candidates(path: Path) -> tuple[_Candidate, ...]:
    if path.is_dir():
        infos = bundles.read(path).artifacts
        return tuple(_Candidate(name=str(path / one.file), format=one.format, source=path / one.file) for one in infos)
    formats = {f".{format.value}": format for format in Format}
    if path.suffix not in formats or not path.is_file():
        raise BundleError(f"{path} is no .pte, .onnx or bundle.", hint="Name a file that a build wrote, or its folder.")
    return (_Candidate(name=str(path), format=formats[path.suffix], source=path),)


def _compared(one: _Candidate, program: Quantized, job: Job, target: Target, output: Path | None) -> Compared:
    match one.format:
        case Format.ONNX if program.scheme in STATIC_INT8:
            return _narrowed(one, program, job, target, output)
        case Format.ONNX:
            what = "chooses its ranges when it runs" if program.scheme in DYNAMIC else "has no roundings of int8"
            note = f"{program.scheme} {what}: the outputs alone are compared"
        case Format.PTE:
            note = "ExecuTorch does not show what its delegate computes inside: the outputs alone are compared"
        case Format.AIMODEL:
            note = "Core AI does not show what lies inside: the outputs alone are compared"
        case _:
            assert_never(one.format)
    return Compared(
        artifact=one.name, parting=None, inside=False, note=f"{note}, {_outputs(one, program, job, target)}."
    )


def _narrowed(one: _Candidate, program: Quantized, job: Job, target: Target, output: Path | None) -> Compared:
    foreign = isinstance(one.source, Path)
    if isinstance(one.source, Path):
        inspect(one.source)  # in a process of its own: what is damaged is told
        data = one.source.read_bytes()
    else:
        data = one.source
    samples = departures.enough(program.captured, job.evaluation)
    found = narrow(one.name, data, target.cpu, program, samples, foreign=foreign)
    place = None
    if found.parting is not None and output is not None:
        atomic.replace_folder(output, reproducer.files(found))
        place = str(output)
    return Compared(artifact=one.name, parting=found.parting, inside=True, note=found.note, reproducer=place)


def _outputs(one: _Candidate, program: Quantized, job: Job, target: Target) -> str:
    """Say how far the outputs are from the program's."""
    source = program.captured.source
    samples = departures.enough(program.captured, job.evaluation)
    opened = runs.open_artifact(one.format, one.source, target.cpu, source.inputs, source.outputs)
    answers = opened.run(samples, source.batch or 1)
    right = run_quantized(program, samples)
    ratios = {name: sqnr_db(array, answers[name]) for name, array in right.outputs.items()}
    said = [f"{name} {'identical' if ratio is None else f'at {ratio:.1f} dB'}" for name, ratio in ratios.items()]
    return f"{', '.join(said)} on {len(samples)} samples"

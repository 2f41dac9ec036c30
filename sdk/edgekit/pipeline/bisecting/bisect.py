"""The ``bisect`` verb: where two computations of one model part."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from edgekit import bundles, chips, targets
from edgekit.base import atomic
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.bundles.bisection import Bisection, Compared, Suspect
from edgekit.bundles.manifest import Manifest
from edgekit.data.samples import Samples
from edgekit.errors import BundleError, QuantizeError
from edgekit.model.capture import capture
from edgekit.pipeline.bisecting import reproducer
from edgekit.pipeline.bisecting.against import Against, Candidate
from edgekit.pipeline.bisecting.candidates import Told, compared
from edgekit.pipeline.job import Job
from edgekit.pipeline.profiling.remake import Requantized, check_owner, relower, requantize
from edgekit.pipeline.profiling.suspects import all_layers
from edgekit.quantization.sensitivity import rows, sensitivities
from edgekit.quantization.simulate import Simulation
from edgekit.spec import Format, Target

_PLAN = {"load": 1.0, "capture": 3.0, "quantize": 10.0, "lower": 10.0, "compare": 5.0}
# A layer whose rounding alone costs so much more than that of the median layer stands out.
_STANDS_OUT_DB = 10.0


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
    chip = chips.of_target(wanted)
    own = relower(made, manifest, wanted, stages, cache)
    lowered = {one.format: one for one in own}
    candidates = given or tuple(Candidate(name=one.file, format=one.format, source=one.data) for one in own)
    told = []
    with stages("compare"):
        for one in candidates:
            if one.format not in made.programs:
                raise BundleError(
                    f"{folder} has no {one.format} to hold {one.name} against.", hint="Build both formats of it."
                )
            program, mine = made.programs[one.format], lowered[one.format]
            told.append(compared(one, Against(program=program, own=mine, job=job, target=wanted, chip=chip)))
    written = _write(told, output)
    return Bisection(first=f"{folder}: program", second=str(other or folder), compared=written)


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
            hint="Build it with the scheme int8, for a CPU.",
        )
    with stages("compare"):
        suspect = standing_out(made.simulation, job.evaluation)
    return Bisection(first="float", second=f"{folder}: program", suspect=suspect)


def check_place(output: Path) -> None:
    """Make sure that nothing but a reproducer is replaced.

    Raises:
        BundleError: If the folder holds something else.
    """
    kinds = {one.value for one in Format}
    known = {*reproducer.FILES, *(f"{kind}/{name}" for kind in kinds for name in reproducer.FILES), *kinds}
    held = {one.relative_to(output).as_posix() for one in output.rglob("*")} if output.is_dir() else set()
    if output.exists() and (not output.is_dir() or held - known):
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
    placing = chips.of_target(wanted).placing
    return job, requantize(job, manifest, captured, stages, placing), wanted, stages


def _candidates(path: Path) -> tuple[Candidate, ...]:
    if path.is_dir():
        infos = bundles.read(path).artifacts
        return tuple(Candidate(name=str(path / one.file), format=one.format, source=path / one.file) for one in infos)
    formats = {f".{format.value}": format for format in Format}
    if path.suffix not in formats or not path.is_file():
        raise BundleError(f"{path} is no .pte, .onnx or bundle.", hint="Name a file that a build wrote, or its folder.")
    return (Candidate(name=str(path), format=formats[path.suffix], source=path),)


def _write(told: Sequence[Told], output: Path | None) -> tuple[Compared, ...]:
    """Write the operations alone: into the folder, or into one for each format where several part."""
    several = sum(bool(one.files) for one in told) > 1
    files: dict[str, bytes] = {}
    found = []
    for one in told:
        inner = f"{one.format.value}/" if several else ""
        files |= {f"{inner}{name}": data for name, data in one.files.items()}
        place = None if output is None or not one.files else str(output / inner)
        found.append(one.compared.model_copy(update={"reproducer": place}))
    if output is not None and files:
        atomic.replace_folder(output, files)
    return tuple(found)

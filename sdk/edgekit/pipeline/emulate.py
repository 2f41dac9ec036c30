"""The ``verify`` verb: run a bundle's artifacts through the real kernels of its processor: emulated, or on a board."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit import bundles, targets
from edgekit.apps import device
from edgekit.apps.board.address import Address
from edgekit.apps.board.board import connected
from edgekit.apps.emulation import emulator as emulators
from edgekit.apps.native import folder as folders
from edgekit.apps.native import toolchain
from edgekit.apps.native.folder import Assembled
from edgekit.apps.native.machine import Here, Machine
from edgekit.base import digest
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import cpu_name
from edgekit.bundles import golden
from edgekit.bundles.golden import GoldenTraces
from edgekit.bundles.manifest import MANIFEST_FILE, ArtifactInfo, Manifest
from edgekit.bundles.verified import Board, Verified, VerifiedRun
from edgekit.data.trace import Trace
from edgekit.drift.compare import leg_of
from edgekit.drift.report import DriftReport, Leg
from edgekit.errors import TargetError, ToolchainError
from edgekit.pipeline import runs
from edgekit.spec import Cpu


@dataclass(frozen=True, kw_only=True)
class Place:
    """What executes the bundle, and what is known of it."""

    machines: tuple[Machine, ...]
    emulator: str = ""
    """Its name and version, if there is one."""
    board: Board | None = None
    """What the board says of itself, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was measured."""

    verified: Verified
    traces: Mapping[tuple[str, str], Trace]
    """What each artifact gave on each machine, by file and the machine's name."""


def verify(
    folder: Path,
    reference: Trace | None,
    progress: Progress,
    *,
    emulate: bool = False,
    models: Sequence[str] = (),
    address: Address | None = None,
    cache: Cache | None = None,
) -> Found:
    """Run a bundle's artifacts as its device would, and hold the answers against this host's and the reference's.

    An emulator is believed only when it has computed the golden vectors as the build host did. What a board makes of
    them is held against their tolerances, as a phone's self-test is.

    Args:
        folder: The bundle.
        reference: The recorded baseline of this model, for its samples; None: the bundle's golden inputs are run.
        progress: Told about every stage.
        emulate: Whether the bundle's processor is emulated; otherwise it must be this machine's, or the board's.
        models: Models of processors by QEMU's names; those of the target's profile unless given.
        address: The board; None: there is none.
        cache: Where compiled programs are kept.

    Raises:
        TargetError: If the bundle is for another processor than that of the board or of this machine, or than is
            emulated.
        ToolchainError: If there is no emulator or no ssh, or nothing of the bundle can be run.
        RunError: If the emulator computes golden vectors wrongly, or an artifact fails.
        UnreachableError, HostKeyError, AuthenticationError, DeviceSpaceError, ConnectionLostError: Of a board.
        BundleError: If the bundle is damaged.
    """
    stages, manifest = Stages(progress), bundles.read(folder)
    vectors = golden.read(folder, manifest)
    reference = reference or vectors.reference
    measured: list[VerifiedRun] = []
    legs: list[Leg] = []
    traces: dict[tuple[str, str], Trace] = {}
    with _place(manifest, stages, progress, emulate, models, address) as place:
        for info in manifest.artifacts:
            made = _assembled(folder, manifest, info, stages, cache)
            if isinstance(made, VerifiedRun):
                measured.append(made)
                continue
            answers = _answers(place, made, manifest, info, reference, vectors, stages)
            host = runs.on_host(folder, manifest, info, reference.samples)
            for machine, candidate, checked in answers:
                with stages(f"compare {info.file} on {machine.name}") as detail:
                    one = runs.compared(info, machine, made, host, candidate)
                    detail.append(f"{100 * (one.identical or 0):.4g} % identical to this host's")
                measured.append(one)
                traces[info.file, machine.name] = candidate
                legs += _legs(manifest, f"{info.file} on {machine.name}", reference, host, candidate, vectors, checked)
    if not legs:
        raise ToolchainError(f"Nothing of {folder} can be run: {measured[0].skipped}", hint="edgekit verify --setup")
    report = _report(manifest, reference, legs, place)
    verified = Verified(
        model=manifest.model.name,
        target=manifest.target.name,
        manifest_sha256=digest.of_file(folder / MANIFEST_FILE),
        emulator=place.emulator,
        board=place.board,
        runs=tuple(measured),
        drift=report,
        verdict="passed" if report.within_budget else "failed",
    )
    return Found(verified=verified, traces=traces)


@contextmanager
def _place(
    manifest: Manifest,
    stages: Stages,
    progress: Progress,
    emulate: bool,
    models: Sequence[str],
    address: Address | None,
) -> Iterator[Place]:
    """Find what executes the bundle; a board is spoken to as long as it is needed."""
    cpu = manifest.target.cpu
    if address is not None:
        with ExitStack() as stack:
            with stages(f"connect to {address}") as detail:
                board = stack.enter_context(connected(address, progress))
                board.check(manifest.target.name, cpu)
                detail.append(board.name)
            yield Place(machines=(board,), board=board.facts)
        return
    if not emulate:
        if toolchain.host_cpu() is not cpu:
            raise TargetError(
                f"{manifest.target.name} is for {cpu}, which this machine is not.",
                hint="Add --emulate to run its kernels under an emulator, or --device ssh:HOST for a board's.",
            )
        yield Place(machines=(Here(model="", name=cpu_name() or cpu.value),))
        return
    if cpu is not Cpu.ARM64:
        raise TargetError(
            f"{manifest.target.name} is for {cpu}, and what is emulated is arm64.", hint="Leave --emulate out."
        )
    emulator = emulators.find()
    chosen = tuple(models) or _named(manifest) or emulators.USUAL
    for model in chosen:
        emulators.check_model(emulator, model)
    name = f"QEMU {emulator.version}"
    machines = [Here(model=one, under=emulator.under(one), name=f"{one} under {name}") for one in chosen]
    yield Place(machines=tuple(machines), emulator=name)


def _named(manifest: Manifest) -> tuple[str, ...]:
    """Return the models that the shipped profile of this name has."""
    known = manifest.target.name in targets.names()
    return targets.load(manifest.target.name).cpu_models if known else ()


def _assembled(
    folder: Path, manifest: Manifest, info: ArtifactInfo, stages: Stages, cache: Cache | None
) -> Assembled | VerifiedRun:
    """Return the native folder of an artifact, the bundle's own if it has one; or why it cannot be had."""
    if info.on_chip is not None:
        reason = f"It is for {manifest.target.chip}, and the native program computes on CPUs."
        return VerifiedRun(artifact=info.file, cpu_model="", skipped=reason)
    if (own := folders.own(folder, info)) is not None:
        return own
    with stages(f"compile for {info.file}") as detail:
        try:
            made = folders.assembled(folder, manifest, info, jpeg=False, cache=cache)
        except ToolchainError as error:
            detail.append(f"skipped: {error.message}")
            return VerifiedRun(artifact=info.file, cpu_model="", skipped=f"{error.message} {error.hint}")
        detail.cached = made.cached
    return made


def _answers(
    place: Place,
    made: Assembled,
    manifest: Manifest,
    info: ArtifactInfo,
    reference: Trace,
    vectors: GoldenTraces,
    stages: Stages,
) -> list[tuple[Machine, Trace, Trace | None]]:
    """Return what each machine gives for the samples, and a board for the golden inputs."""
    answers = []
    with ExitStack() as stack:
        runners = []
        for machine in place.machines:
            with stages(f"put {info.file} on {machine.name}") as detail:
                runner = stack.enter_context(machine.holding(made, runs.room(reference.samples)))
                detail.append(f"{made.native.bytes / 1e6:.2f} MB")
                if place.board is None:  # nothing else of an emulator that fails these is believed
                    runs.check_golden(runner, machine)
            runners.append((machine, runner))
        for machine, runner in runners:
            with stages(f"run {info.file} on {machine.name}") as detail:
                found = runs.run_on(runner, machine, made, manifest, info, reference.samples)
                checked = found if place.board is not None else None
                if checked is not None and reference is not vectors.reference:
                    checked = runs.run_on(runner, machine, made, manifest, info, vectors.reference.samples)
                detail.append(f"{len(reference)} samples")
            answers.append((machine, found, checked))
    return answers


def _legs(
    manifest: Manifest,
    name: str,
    reference: Trace,
    host: Trace,
    candidate: Trace,
    vectors: GoldenTraces,
    checked: Trace | None,
) -> list[Leg]:
    device_legs = leg_of(manifest.budget, "device", host, candidate, manifest.outputs, artifact=name)
    total = leg_of(manifest.budget, "total", reference, candidate, manifest.outputs, artifact=name)
    if checked is None:
        return [*device_legs, *total]
    owners = [(leg, checked.origin.artifact) for leg in device_legs] + [(leg, None) for leg in total]
    return [
        leg.model_copy(update={"checks": (*leg.checks, device.golden_check(vectors, owner, leg.output, checked))})
        for leg, owner in owners
    ]


def _report(manifest: Manifest, reference: Trace, legs: Sequence[Leg], place: Place) -> DriftReport:
    notes = []
    if place.emulator:
        notes.append("The kernels are the real ones, the processor is emulated: this is for answers, never for time.")
    if len(reference) <= len(manifest.golden):
        notes.append(f"Only the {len(reference)} golden inputs were run: there is no baseline of this model here.")
    return DriftReport(
        samples=len(reference),
        samples_sha256=reference.samples.digest,
        bootstrap=manifest.budget.bootstrap,
        legs=tuple(legs),
        notes=tuple(notes),
    )

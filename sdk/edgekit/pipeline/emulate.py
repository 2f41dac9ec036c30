"""The ``verify`` verb: run a bundle's artifacts through the real kernels of its processor, emulated where need be."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit import bundles, targets
from edgekit.apps.emulation import emulator as emulators
from edgekit.apps.emulation.emulator import Emulator
from edgekit.apps.native import folder as folders
from edgekit.apps.native import toolchain
from edgekit.apps.native.folder import Assembled
from edgekit.apps.native.launch import Program, launch
from edgekit.base import digest
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import cpu_name, installed
from edgekit.bundles import golden
from edgekit.bundles.emulated import Emulated, EmulatedRun
from edgekit.bundles.manifest import MANIFEST_FILE, ArtifactInfo, Manifest
from edgekit.data.trace import Origin, Trace, precision
from edgekit.drift.compare import leg_of
from edgekit.drift.report import DriftReport, Leg
from edgekit.errors import RunError, TargetError, ToolchainError
from edgekit.execution.artifact import open_artifact, steady_batch
from edgekit.execution.artifact import trace as run_artifact
from edgekit.spec import Cpu

_SECONDS_A_SAMPLE = 5.0
_LEAST_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a program runs: a model of processor under an emulator, or this machine."""

    model: str
    under: tuple[str, ...]
    name: str
    """What the report calls it."""


def verify(
    folder: Path,
    reference: Trace | None,
    progress: Progress,
    *,
    emulate: bool,
    models: Sequence[str] = (),
    cache: Cache | None = None,
) -> Emulated:
    """Run a bundle's artifacts as its device would, and hold the answers against this host's and the reference's.

    An emulator is believed only when it has computed the golden vectors as the build host did.

    Args:
        folder: The bundle.
        reference: The recorded baseline of this model, for its samples; None: the bundle's golden inputs are run.
        progress: Told about every stage.
        emulate: Whether the bundle's processor is emulated; otherwise it must be this machine's.
        models: Models of processors by QEMU's names; those of the target's profile unless given.
        cache: Where compiled programs are kept.

    Raises:
        TargetError: If the bundle is for another processor than this machine can be, or emulate.
        ToolchainError: If there is no emulator, or nothing of the bundle can be run.
        RunError: If the emulator computes golden vectors wrongly, or an artifact fails.
        BundleError: If the bundle is damaged.
    """
    stages, manifest = Stages(progress), bundles.read(folder)
    places, emulator = _places(manifest, emulate, models)
    if reference is None:
        reference = golden.read(folder, manifest).reference
    runs: list[EmulatedRun] = []
    legs: list[Leg] = []
    for info in manifest.artifacts:
        with stages(f"compile for {info.file}") as detail:
            try:
                made = folders.assembled(folder, manifest, info, jpeg=False, cache=cache)
            except ToolchainError as error:
                runs.append(EmulatedRun(artifact=info.file, cpu_model="", skipped=f"{error.message} {error.hint}"))
                detail.append(f"skipped: {error.message}")
                continue
            detail.cached = made.cached
        with tempfile.TemporaryDirectory() as scratch:
            program = made.write(Path(scratch) / "native")
            for place in places:  # nothing else of an emulator that fails these is believed
                _check_golden(replace(program, under=place.under), place)
            answers = [(place, _run(program, made, manifest, info, place, reference, stages)) for place in places]
        host = _on_host(folder, manifest, info, reference)
        for place, candidate in answers:
            with stages(f"compare {info.file} on {place.name}") as detail:
                one = _compared(info, place, host, candidate)
                detail.append(f"{100 * (one.identical or 0):.4g} % identical to this host's")
            runs.append(one)
            legs += _legs(manifest, f"{info.file} on {place.name}", reference, host, candidate)
    if not legs:
        raise ToolchainError(f"Nothing of {folder} can be run: {runs[0].skipped}", hint="edgekit verify --setup")
    report = _report(manifest, reference, legs, emulator)
    return Emulated(
        model=manifest.model.name,
        target=manifest.target.name,
        manifest_sha256=digest.of_file(folder / MANIFEST_FILE),
        emulator="" if emulator is None else f"QEMU {emulator.version}",
        runs=tuple(runs),
        drift=report,
        verdict="passed" if report.within_budget else "failed",
    )


def _places(manifest: Manifest, emulate: bool, models: Sequence[str]) -> tuple[list[Place], Emulator | None]:
    cpu = manifest.target.cpu
    if not emulate:
        if toolchain.host_cpu() is not cpu:
            raise TargetError(
                f"{manifest.target.name} is for {cpu}, which this machine is not.",
                hint="Add --emulate to run its kernels under an emulator.",
            )
        return [Place(model="", under=(), name=cpu_name() or cpu.value)], None
    if cpu is not Cpu.ARM64:
        raise TargetError(
            f"{manifest.target.name} is for {cpu}, and what is emulated is arm64.", hint="Leave --emulate out."
        )
    emulator = emulators.find()
    chosen = tuple(models) or _named(manifest) or emulators.USUAL
    for model in chosen:
        emulators.check_model(emulator, model)
    name = f"under QEMU {emulator.version}"
    return [Place(model=one, under=emulator.under(one), name=f"{one} {name}") for one in chosen], emulator


def _named(manifest: Manifest) -> tuple[str, ...]:
    """Return the models that the shipped profile of this name has."""
    known = manifest.target.name in targets.names()
    return targets.load(manifest.target.name).cpu_models if known else ()


def _on_host(folder: Path, manifest: Manifest, info: ArtifactInfo, reference: Trace) -> Trace:
    cpu = manifest.target.cpu
    opened = open_artifact(info.format, folder / info.file, cpu, manifest.inputs, manifest.outputs)
    batch = steady_batch(info.format, info.quantization, info.verified_batches)
    model = manifest.model.weights_sha256
    return run_artifact(opened, cpu, reference.samples, batch=batch, model=model, scheme=info.quantization)


def _run(
    program: Program,
    made: Assembled,
    manifest: Manifest,
    info: ArtifactInfo,
    place: Place,
    reference: Trace,
    stages: Stages,
) -> Trace:
    """Run all samples."""
    with stages(f"run {info.file} on {place.name}") as detail, tempfile.TemporaryDirectory() as scratch:
        inputs = []
        for spec in manifest.inputs:
            file = Path(scratch) / f"{spec.name}.npy"
            np.save(file, np.ascontiguousarray(reference.samples.array(spec.name), np.dtype(spec.dtype)))
            inputs += ["--input", f"{spec.name}={file}"]
        arguments = ["predict", *inputs, "--output", scratch, "--top", "1", "--json"]
        seconds = _LEAST_S + _SECONDS_A_SAMPLE * len(reference)
        done = launch(replace(program, under=place.under), arguments, seconds=seconds)
        if done.code != 0:
            raise RunError(f"{info.file} does not run on {place.name}: {done.reason}", hint="Build the bundle again.")
        outputs = {spec.name: np.load(Path(scratch) / f"{spec.name}.npy") for spec in manifest.outputs}
        detail.append(f"{len(reference)} samples")
    origin = Origin(
        program="artifact",
        device="cpu",
        device_name=place.name,
        dtype=precision(info.quantization),
        kernels=f"{made.native.runtime}, native",
        kernels_of=manifest.target.cpu,
        versions=installed("executorch", "onnxruntime"),
        model=manifest.model.weights_sha256,
        samples=reference.samples.digest,
        artifact=info.file,
        artifact_sha256=info.sha256,
    )
    return Trace(samples=reference.samples, outputs=outputs, origin=origin)


def _check_golden(program: Program, place: Place) -> None:
    done = launch(program, ["selftest"], seconds=_LEAST_S)
    if done.code != 0:
        raise RunError(
            f"{place.name} does not compute the golden vectors as the build host did: {done.reason}",
            hint="Nothing that it computes is believed. An old emulator computes wrongly: edgekit verify --setup takes "
            "a new one. On a real device it would be a fault of its kernels.",
        )


def _compared(info: ArtifactInfo, place: Place, host: Trace, candidate: Trace) -> EmulatedRun:
    same = np.ones(len(host), dtype=bool)
    worst = 0.0
    for name in host.outputs:
        ours, theirs = (np.ascontiguousarray(one.array(name)).reshape(len(host), -1) for one in (candidate, host))
        same &= (ours.view(np.uint8) == theirs.view(np.uint8)).all(axis=1)
        off = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        worst = max(worst, float(np.where(ours == theirs, 0.0, off).max(initial=0.0)))
    finite = worst if np.isfinite(worst) else None
    return EmulatedRun(artifact=info.file, cpu_model=place.model, identical=float(same.mean()), max_abs_error=finite)


def _legs(manifest: Manifest, name: str, reference: Trace, host: Trace, candidate: Trace) -> list[Leg]:
    device = leg_of(manifest.budget, "device", host, candidate, manifest.outputs, artifact=name)
    return [*device, *leg_of(manifest.budget, "total", reference, candidate, manifest.outputs, artifact=name)]


def _report(manifest: Manifest, reference: Trace, legs: Sequence[Leg], emulator: Emulator | None) -> DriftReport:
    notes = []
    if emulator is not None:
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

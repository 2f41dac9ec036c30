"""The ``profile`` verb: everything that there is to say about one bundle, measured."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from edgekit import bundles, targets
from edgekit.base.cache import Cache
from edgekit.base.digest import of_file
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import cpu_name, host_is_x86
from edgekit.bundles.cost import Cost
from edgekit.bundles.manifest import MANIFEST_FILE, Manifest
from edgekit.bundles.profile import Classes, LoweringLeg, Noise, Profile, StepGain
from edgekit.model.artifact import Artifact
from edgekit.pipeline.job import Job
from edgekit.pipeline.profiling import classes, cost, departures, gains, native, noise
from edgekit.pipeline.profiling.cost import Runs
from edgekit.pipeline.profiling.owners import owned
from edgekit.pipeline.profiling.remake import Remade, check_chip, check_owner, remake, settings
from edgekit.pipeline.profiling.subjects import float_name, of_artifact, of_float
from edgekit.pipeline.profiling.suspects import Suspects, all_layers, suspects
from edgekit.spec import DYNAMIC, STATIC_INT8, Cpu, Format, Scheme, Target

# About how long each stage takes, in seconds, on two cores for the sample: only their ratios count once one is done.
_PLAN = {
    "load": 1.0, "capture": 3.0, "reference": 2.0, "quantize": 10.0, "run quantized program": 2.0, "lower": 10.0,
    "run artifacts": 3.0, "rank layers": 20.0, "compare inner values": 3.0, "lower in float": 8.0,
}  # fmt: skip
_TIMED_S = {Format.PTE: 8.0, Format.ONNX: 2.0, Format.AIMODEL: 2.0}


def profile(
    folder: Path,
    load: Callable[[], Job],
    progress: Progress,
    *,
    target: str | Path | None = None,
    cache: Cache | None = None,
    runs: Runs | None = None,
    steps: bool = False,
) -> Profile:
    """Measure where the accuracy of a bundle goes and what its artifacts cost.

    Args:
        folder: The bundle.
        load: Loads what it was built from.
        progress: Told about every stage, with the time left.
        target: The bundle's target by name or path; by the name in the bundle unless given.
        cache: Where lowered artifacts are kept; None lowers always.
        runs: How often artifacts are run to time them.
        steps: Whether to measure what each step of the quantizer gives: the model is quantized once more for each.

    Raises:
        BundleError: If there is no bundle, or it is damaged.
        TargetError: If its chip rounds otherwise than a CPU.
        ProjectError: If the bundle is of another project, or the project has changed since.
        EdgeKitError: A subclass for a stage that failed.
    """
    began = time.perf_counter()
    manifest = bundles.read(folder)
    wanted = targets.load(target or manifest.target.name)
    check_chip(wanted)
    planned = _plan(manifest)
    if steps:
        planned |= gains.plan(info.quantization for info in manifest.artifacts)
    stages = Stages(progress, planned)
    with stages("load") as detail:
        loaded = load()
        check_owner(loaded, manifest, folder)
        detail.append(f"{len(loaded.evaluation)} samples")
    made = remake(loaded, manifest, wanted, stages, cache)
    captured, found, layers = made.captured, None, all_layers(made.simulation, made.captured)
    if made.simulation is not None:
        with stages("rank layers") as detail:
            limit = loaded.quantization.fallback_limit
            found = suspects(made.simulation, loaded.evaluation, limit, manifest.float_layers)
            detail.append(f"{len(made.simulation.layers)} layers on {found.sensitivities.compared} samples")
    known = frozenset(layer.path for layer in layers)
    told: tuple[StepGain, ...] = ()
    if steps:
        there, spec = made.references, settings(loaded, manifest)
        answers = {info.quantization: there.quantized[info.file] for info in manifest.artifacts}
        told = gains.of_steps(loaded, captured, answers, there.host, spec, stages)
    with stages("compare inner values"):
        lowering = tuple(_lowering_leg(loaded, wanted, made, one, known) for one in made.artifacts)
    with stages("lower in float"):
        subjects = [of_artifact(one) for one in made.artifacts]
        subjects += [
            of_float(one.format, captured, wanted, loaded.calibration, cache)
            for one in made.artifacts
            if one.scheme is not Scheme.FLOAT
        ]
    costs = []
    for subject in subjects:
        with stages(f"time {subject.name}") as detail:
            costs.append(cost.measure(subject, loaded.source.inputs, loaded.evaluation, runs or Runs()))
            detail.append(f"{costs[-1].latency.median_ms:.3f} ms")
    if (info := native.subject(folder, manifest)) is not None:
        with stages(f"time {native.name(info)}") as detail:
            costs.append(native.measure(folder, info, runs or Runs()))
            detail.append(f"{costs[-1].latency.median_ms:.3f} ms")
    costs = [_owned(one, made, known) for one in costs]
    beside = noise.profile(made.references.baseline, loaded.source.outputs)
    return Profile(
        model=manifest.model.name,
        target=manifest.target.name,
        manifest_sha256=of_file(folder / MANIFEST_FILE),
        host=_host(wanted),
        kernels={file: trace.origin.kernels for file, trace in made.traces.items()},
        seconds=time.perf_counter() - began,
        drift=made.report,
        sensitivities=None if found is None else found.sensitivities,
        layers=layers,
        values=() if found is None else found.values,
        lowering=lowering,
        steps=told,
        noise=beside,
        classes=_classes(loaded, made),
        costs=tuple(costs),
        warnings=(*_slow(costs), *_departing(lowering), *_undelegated(made)),
        paste=() if found is None else found.paste,
        notes=tuple(_notes(wanted, made, found, beside)),
    )


def _owned(one: Cost, made: Remade, known: frozenset[str]) -> Cost:
    """Return a cost whose operations are told the layers that they compute."""
    if one.precision != "quantized":
        return one
    graph = made.programs[one.format].program.module(check_guards=False).graph
    return one.model_copy(update={"operators": owned(one.format, one.operators, graph, known)})


def _plan(manifest: Manifest) -> dict[str, float]:
    """Return about how long each stage takes, in seconds."""
    plan = dict(_PLAN)
    if not any(info.quantization in STATIC_INT8 for info in manifest.artifacts):
        del plan["rank layers"]
    for info in manifest.artifacts:
        plan[f"time {info.file}"] = _TIMED_S[info.format]
        if info.quantization is not Scheme.FLOAT:
            plan[f"time {float_name(info.format)}"] = _TIMED_S[info.format]
    return plan


def _lowering_leg(loaded: Job, target: Target, made: Remade, artifact: Artifact, known: frozenset[str]) -> LoweringLeg:
    file, program = artifact.file, made.programs[artifact.format]
    match artifact.format:
        case Format.ONNX if artifact.scheme not in DYNAMIC:
            samples = departures.enough(made.captured, loaded.evaluation)
            return departures.of_onnx(file, artifact.data, target.cpu, program, samples, known)
        case Format.ONNX:
            note = f"{artifact.scheme} chooses its ranges when it runs: the outputs alone are compared."
        case Format.PTE:
            note = "The outputs alone are compared; edgekit bisect looks into the delegate."
        case Format.AIMODEL:
            note = "Core AI does not show what lies inside: the outputs alone are compared."
        case _:
            assert_never(artifact.format)
    return departures.of_outputs(file, made.references.quantized[file], made.traces[file], note)


def _classes(loaded: Job, made: Remade) -> tuple[Classes, ...]:
    return tuple(
        one
        for file, trace in made.traces.items()
        for one in classes.profile(file, loaded, made.references.baseline, trace)
    )


def _host(target: Target) -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{cpu_name()}, {count} cores"
    if host_is_x86() and target.cpu is Cpu.ARM64:
        text += "; times and memory are this host's: an ARM device has other kernels, and gives other numbers"
    return text


def _slow(costs: Sequence[Cost]) -> Iterator[str]:
    plain = {one.format: one.latency.median_ms for one in costs if one.precision == "float32"}
    for one in costs:
        median = one.latency.median_ms
        if one.precision == "quantized" and one.format in plain and median >= plain[one.format]:
            yield (
                f"{one.artifact} is not faster than in float32 on this host: median {median:.3f} ms against "
                f"{plain[one.format]:.3f} ms."
            )


def _departing(legs: Sequence[LoweringLeg]) -> Iterator[str]:
    for leg in legs:
        if leg.first is not None:
            yield f"{leg.artifact} computes something else than the quantized program from {leg.first} on."


def _undelegated(made: Remade) -> Iterator[str]:
    for artifact in made.artifacts:
        if artifact.not_delegated:
            names = ", ".join(artifact.not_delegated[:3])
            yield f"{artifact.file} leaves {len(artifact.not_delegated)} operations outside of its delegate: {names}."


def _notes(target: Target, made: Remade, found: Suspects | None, beside: Sequence[Noise]) -> Iterator[str]:
    yield from made.report.notes
    if found is None:
        schemes = ", ".join(dict.fromkeys(one.scheme for one in made.artifacts))
        yield f"The layers are not ranked: they can be switched one by one in static int8, not in {schemes}."
    else:
        yield "Sensitivities and ranges come from a simulation of the quantized program on this host's CPU."
        if found.note:
            yield found.note
    if host_is_x86() and target.cpu is Cpu.ARM64:
        yield "Times, memory and operators are of this x86 host; a phone's differ. Accuracy follows ARM arithmetic."
    yield "Operations are timed by each runtime's tracing in runs of their own, which it slows: their shares count."
    yield "Times are of one sample in a fresh process, by the kernels that each runtime chooses itself."
    for one in beside:
        ratio = "identical" if one.sqnr_db is None else f"{one.sqnr_db:.1f} dB"
        yield f"The server's own noise in {one.precision}: {ratio} at {one.output}, computed on {one.place}."

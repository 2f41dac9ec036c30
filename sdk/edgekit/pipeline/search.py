"""The ``search`` verb: the curve of drift against cost, of which every point was lowered, run and measured."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit import chips
from edgekit.base import cache as caches
from edgekit.base import digest, environment
from edgekit.base.cache import Cache, Entry
from edgekit.base.progress import Progress, Stages
from edgekit.errors import EdgeKitError, ProjectError
from edgekit.model.artifact import Artifact
from edgekit.model.curve import Curve, Point, front
from edgekit.model.program import Captured
from edgekit.pipeline.attempt import Attempt, Attempts
from edgekit.pipeline.job import Job
from edgekit.pipeline.keep import Keep
from edgekit.pipeline.legs import Ground, ground
from edgekit.pipeline.profiling import cost
from edgekit.pipeline.profiling.cost import Runs
from edgekit.pipeline.profiling.subjects import of_artifact
from edgekit.quantization.candidates import candidates, predicted_db
from edgekit.quantization.scores import scores
from edgekit.quantization.simulate import simulate
from edgekit.spec import STATIC_INT8, Fallback, Format, Scheme, Target, schemes

# Samples that layers are scored with.
_SCORED = 64
_RUNS = Runs(warm_up=10, timed=100, profiled=1, seconds=1.0)


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    format: Format
    scheme: Scheme
    float_layers: tuple[str, ...] = ()
    predicted_db: float | None = None

    @property
    def name(self) -> str:
        kept = f", {len(self.float_layers)} layers in float" if self.float_layers else ""
        return f".{self.format} {self.scheme}{kept}"


def search(
    job: Job,
    target: Target,
    progress: Progress,
    *,
    cache: Cache | None = None,
    most: int = 8,
    latency: bool = False,
) -> Curve:
    """Return the points of a target's formats that no other one beats in both bytes and drift.

    Args:
        job: The model with its data.
        target: What to build for.
        progress: Told about every stage.
        cache: Where measured points are kept: a search that was stopped goes on there. None measures all anew.
        most: How many choices of layers in float to try for each format.
        latency: Whether to time every point on this host.

    Raises:
        ProjectError: If the job is of a trained network.
        EdgeKitError: A subclass for what fails of every point.
    """
    if job.trained is not None:
        raise ProjectError(
            "A trained network is built as it is: there is nothing to search.",
            hint="Leave trained out of [quantize] for a search.",
        )
    chips.of_target(target).refuse(target)
    stages = Stages(progress)
    spec = job.quantization.model_copy(update={"scheme": None, "fallback": Fallback.NONE})
    job = replace(job, quantization=spec)
    start = ground(job, stages, Keep(folder=None))
    job = replace(job, source=start.captured.source)
    with stages("score layers") as detail:
        found, sets = _choices(job, start.captured, most)
        detail.append(f"{len(found)} layers on {min(_SCORED, len(job.calibration))} samples")
    points, dropped = [], []
    last: EdgeKitError | None = None
    for one in _candidates(job, target, found, sets):
        try:
            points.append(_measured(job, target, start, one, stages, cache, latency=latency))
        except EdgeKitError as error:  # a scheme that a model has no layers for, or a runtime no kernels
            dropped.append(f"{one.name}: {error.message}")
            last = error
    if not points:
        assert last is not None
        raise last
    return Curve(
        model=job.source.name,
        target=target.name,
        samples=len(job.evaluation),
        tried=len(points),
        points=front(points),
        dropped=tuple(dropped),
        scores=dict(found),
    )


def _choices(job: Job, captured: Captured, most: int) -> tuple[Mapping[str, float], Sequence[tuple[str, ...]]]:
    """Return the scores of the layers, and sets of them to keep in float beside those that the settings name."""
    simulation = simulate(captured, job.quantization, job.calibration)
    found = scores(simulation, job.calibration.spread(_SCORED))
    return found, candidates(simulation.layers, found, most)


def _candidates(
    job: Job, target: Target, found: Mapping[str, float], sets: Sequence[tuple[str, ...]]
) -> Iterator[_Candidate]:
    """Yield what to try: for each format its schemes, and static int8 with layers in float."""
    known = target.chip.schemes or tuple(Scheme)
    fixed = job.quantization.float_layers
    for format in target.formats:
        for scheme in known:
            if scheme is Scheme.INT8_MIXED or schemes.obstacle(scheme, format) is not None:
                continue
            for kept in sets if scheme is Scheme.INT8 else ((),):
                predicted = predicted_db(found, kept) if scheme is Scheme.INT8 else None
                layers = () if scheme is Scheme.FLOAT else (*fixed, *kept)
                yield _Candidate(format=format, scheme=scheme, float_layers=layers, predicted_db=predicted)


def _measured(
    job: Job, target: Target, start: Ground, one: _Candidate, stages: Stages, cache: Cache | None, *, latency: bool
) -> Point:
    """Quantize, lower and run a candidate, or look up what came of it; time it if that is asked for."""
    key = _key(job, target, one)
    known = None if cache is None else caches.get(cache, "search", key)
    before = None if known is None else Point.model_validate_json(json.dumps(known.facts["point"]))
    if before is not None and not (latency and before.latency_ms is None):
        with stages(one.name) as detail:
            detail.cached = True
        return before
    attempt = _attempt(job, target, start, one, stages, cache)
    (artifact,) = attempt.artifacts
    point = Point(
        format=one.format,
        scheme=attempt.programs[one.format].scheme,
        float_layers=one.float_layers,
        bytes=len(artifact.data),
        predicted_db=one.predicted_db,
        metrics={leg.output: leg.metrics for leg in attempt.report.legs if leg.name == "total"},
        latency_ms=_latency(job, artifact, one, stages) if latency else None,
    )
    if cache is not None:
        caches.put(cache, "search", key, Entry(files={}, facts={"point": point.model_dump(mode="json")}))
    return point


def _attempt(job: Job, target: Target, start: Ground, one: _Candidate, stages: Stages, cache: Cache | None) -> Attempt:
    mixed = one.scheme in STATIC_INT8 and one.float_layers
    scheme = Scheme.INT8_MIXED if mixed else one.scheme
    spec = job.quantization.model_copy(update={"scheme": scheme, "float_layers": one.float_layers})
    attempts = Attempts(
        job=replace(job, quantization=spec), ground=start, stages=stages, cache=cache, keep=Keep(folder=None)
    )
    return attempts.at(target.model_copy(update={"formats": (one.format,)}), one.float_layers)


def _latency(job: Job, artifact: Artifact, one: _Candidate, stages: Stages) -> float:
    """Return the median time for one sample on this host, in milliseconds."""
    with stages(f"time {one.name}") as detail:
        found = cost.measure(of_artifact(artifact), job.source.inputs, job.evaluation, _RUNS)
        detail.append(f"{found.latency.median_ms:.3f} ms")
    return found.latency.median_ms


def _key(job: Job, target: Target, one: _Candidate) -> str:
    """Return a digest of all that a point depends on."""
    budget = target.budget.updated(job.budget)
    return digest.of_json(
        [
            job.source.weights_sha256,
            [spec.model_dump(mode="json") for spec in (*job.source.inputs, *job.source.outputs)],
            job.calibration.digest,
            job.evaluation.digest,
            None if job.baseline is None else job.baseline.origin.model_dump(mode="json"),
            job.quantization.model_dump(mode="json"),
            target.model_dump(mode="json"),
            budget.model_dump(mode="json"),
            [one.format, one.scheme, list(one.float_layers)],
            environment.of_source(),
            environment.of_tools(),
            environment.of_host(),
        ]
    )

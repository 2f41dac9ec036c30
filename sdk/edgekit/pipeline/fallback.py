"""Fallback: while a model is over its drift budget, keep the layers in float that cost most, and build it again.

Layers are chosen in simulation, which is quick; each choice is then quantized, lowered and verified as any build is.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgekit.base.progress import Stages
from edgekit.bundles.contents import allowed_bytes
from edgekit.data.trace import Trace
from edgekit.drift.blame import blamed
from edgekit.drift.compare import leg_of
from edgekit.drift.report import Check, DriftReport
from edgekit.errors import EdgeKitError
from edgekit.model.layers import FallbackReport, Kept, Outcome, Sensitivities, lines
from edgekit.model.program import Captured
from edgekit.pipeline.attempt import Attempt, Attempts
from edgekit.pipeline.job import Job
from edgekit.pipeline.legs import References
from edgekit.quantization.choice import Search, keep
from edgekit.quantization.sensitivity import comparable, rows, sensitivities, sqnr
from edgekit.quantization.simulate import Outputs, Simulation, run, simulate
from edgekit.spec import STATIC_INT8, Fallback, Target

# Layers are ranked on few samples, or fewer, see `comparable`, and held against the budget on more.
_RANKED, _JUDGED = 256, 1024
# What the next choice must gain in simulation where an artifact breaks a limit that is not in dB.
_STEP_DB = 1.0


@dataclass(frozen=True, kw_only=True)
class Suspects:
    """The simulation of a job and its ranking: the same for all targets."""

    simulation: Simulation
    ranked: npt.NDArray[np.int64]
    judged: npt.NDArray[np.int64]
    """Rows of the evaluation samples."""
    sensitivities: Sensitivities
    all_int8_sqnr_db: float | None
    """Of the judged rows, with all layers in int8."""


def suspects(job: Job, captured: Captured) -> Suspects:
    """Simulate a job's program and rank its layers."""
    simulation = simulate(captured, job.quantization, job.calibration)
    ranked, judged = (rows(simulation, len(job.evaluation), most) for most in (_RANKED, _JUDGED))
    samples = job.evaluation.rows(judged)
    return Suspects(
        simulation=simulation,
        ranked=ranked,
        judged=judged,
        sensitivities=sensitivities(simulation, job.evaluation.rows(ranked)),
        all_int8_sqnr_db=sqnr(run(simulation, samples, simulation.layers), run(simulation, samples)),
    )


def settle(
    job: Job, target: Target, attempts: Attempts, suspects: Callable[[], Suspects], stages: Stages
) -> tuple[Attempt, FallbackReport | None]:
    """Return an attempt that is within the drift budget, or the last one made, and what was kept in float for it.

    Args:
        job: The job; says whether and how much may be kept.
        target: The target, for its budget and size limit.
        attempts: Makes the attempts.
        suspects: Ranks the layers.
        stages: Told about every stage.

    Returns:
        The report is None if no fallback was asked for, or the first attempt is good.
    """
    first = attempts.at(target, job.quantization.float_layers)
    if job.quantization.fallback is Fallback.NONE or first.report.within_budget:
        return first, None
    share = 0.0
    kept: tuple[Kept, ...] = ()
    outcome: Outcome = "not int8"
    count, last, before = 1, first, None
    static = all(program.scheme in STATIC_INT8 for program in first.programs.values())
    if static and _blames(first.report):
        with stages("rank layers") as detail:
            known = suspects()
            search = _search(job, target, first, known)
            before = known.all_int8_sqnr_db
            detail.append(f"{len(known.simulation.layers)} layers on {len(known.ranked)} samples")
        demanded = -np.inf
        while not last.report.within_budget:
            with stages(f"choose layers, attempt {count + 1}") as detail:
                judge = _judge(job, target, first.references, known.judged, demanded)
                found, outcome = keep(search, kept, judge)
                detail.append(", ".join(one.layer.path for one in found[len(kept) :]) or f"none: {outcome}")
            if found == kept:
                break
            kept, count = found, count + 1
            last = attempts.at(target, _setting(job, kept), count)
            if kept[-1].sqnr_db is None:
                break
            demanded = kept[-1].sqnr_db + _missing_db(last.report)
        weights = known.simulation.kept_weights + sum(one.layer.weights for one in kept)
        share = weights / max(known.simulation.weights, 1)
    setting = _setting(job, kept)
    return last, FallbackReport(
        outcome="met" if last.report.within_budget else outcome,
        attempts=count,
        all_int8_sqnr_db=before,
        kept=kept,
        float_share=share,
        float_limit=job.quantization.fallback_limit,
        float_layers=setting,
        paste=lines(setting) if kept else (),
    )


def rank_blamed(job: Job, attempt: Attempt, suspects: Callable[[], Suspects], stages: Stages) -> Sensitivities | None:
    """Return what each layer costs where quantization takes an attempt over its budget, so that it can be said.

    None: something else is to blame, or the layers cannot be told apart in simulation.
    """
    blame = blamed(attempt.report)
    static = all(program.scheme in STATIC_INT8 for program in attempt.programs.values())
    if job.trained is not None or not static or blame is None or blame.leg.name != "quantization":
        return None
    with stages("find the layers that cost most") as detail:
        try:
            known = suspects().sensitivities
        except EdgeKitError as error:  # the bundle is there, and so is its verdict
            detail.append(f"not told: {error.message}")
            return None
        detail.append(f"{len(known.ranking)} layers on {known.compared} samples")
    return known


def _blames(report: DriftReport) -> list[Check]:
    """Return the breaches that layers in float could mend: those of the legs that hold the quantization error."""
    return [breach for leg in report.legs if leg.name in ("quantization", "total") for breach in leg.breaches]


def _missing_db(report: DriftReport) -> float:
    """Return by how much the simulation must still get better: what the runtimes lack."""
    known = [check.limit - check.value for check in _blames(report) if check.metric == "sqnr_db" and check.value]
    return max(known, default=_STEP_DB)


def _setting(job: Job, kept: tuple[Kept, ...]) -> tuple[str, ...]:
    return (*job.quantization.float_layers, *(one.layer.path for one in kept))


def _search(job: Job, target: Target, first: Attempt, known: Suspects) -> Search:
    room = min(
        allowed_bytes(target.size, first.programs[one.format].weight_bytes, one.operations) - len(one.data)
        for one in first.artifacts
    )
    return Search(
        simulation=known.simulation,
        samples=job.evaluation.rows(known.ranked).spread(comparable(known.simulation)),
        judged=job.evaluation.rows(known.judged),
        sensitivities=known.sensitivities,
        most_weights=int(job.quantization.fallback_limit * known.simulation.weights),
        most_bytes=max(room, 0),
    )


def _judge(
    job: Job, target: Target, references: References, judged: npt.NDArray[np.int64], demanded: float
) -> Callable[[Outputs], bool]:
    """Return what says whether simulated outputs keep the budget and have the demanded SQNR, in dB."""
    budget, outputs = target.budget.updated(job.budget), job.source.outputs
    samples = job.evaluation.rows(judged)

    def part(trace: Trace) -> Trace:
        return replace(trace, samples=samples, outputs={name: array[judged] for name, array in trace.outputs.items()})

    host, baseline = part(references.host), part(references.baseline)

    def enough(found: Outputs) -> bool:
        simulated = next(iter(references.quantized.values()))
        candidate = replace(simulated, samples=samples, outputs=found)
        measured = functools.partial(leg_of, budget, outputs=outputs, own=job.own_metrics)
        legs = (
            *measured("quantization", host, candidate),
            *measured("total", baseline, candidate),
        )
        ratio = sqnr(host.outputs, found)
        return not any(leg.breaches for leg in legs) and (ratio is None or ratio >= demanded)

    return enough

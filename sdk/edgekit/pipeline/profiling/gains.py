"""What each step of the quantizer that may be left out gives, on samples that quantization did not see."""

from collections.abc import Iterable, Mapping

from edgekit.base.progress import Stages
from edgekit.bundles.profile import StepGain
from edgekit.data.trace import Trace
from edgekit.execution.eager import run_float, run_quantized
from edgekit.execution.proof import quantization_db
from edgekit.model.program import Captured
from edgekit.pipeline.job import Job
from edgekit.quantization import quantize
from edgekit.quantization.folds import halves
from edgekit.spec import STEPS, QuantSpec, Scheme

# A quantization and a run of the program, in seconds, beside the other stages of a profile.
_STEP_S = 12.0


def plan(schemes: Iterable[Scheme]) -> dict[str, float]:
    """Return about how long each stage of `of_steps` takes, in seconds, if the settings leave out no step."""
    return {_stage(scheme, step): _STEP_S for scheme in schemes if scheme is not Scheme.FLOAT for step in STEPS}


def of_steps(
    job: Job, captured: Captured, answers: Mapping[Scheme, Trace], host: Trace, spec: QuantSpec, stages: Stages
) -> tuple[StepGain, ...]:
    """Quantize again with one step left out at a time, and measure both programs on samples that neither has seen.

    Those are the evaluation samples; where they are the calibration's own, one half of these calibrates and the other
    is measured, the halves that differ most.

    Args:
        job: The model and its data.
        captured: The captured program.
        answers: What the bundle's programs gave for the evaluation samples; steps of float there are none.
        host: What the float model gave for them.
        spec: The bundle's settings; steps that they leave out are not tried.
        stages: Told about every program.

    Returns:
        None at all where there are too few samples to set some apart.

    Raises:
        QuantizeError: If the model cannot be quantized without a step.
    """
    calibration, unseen, known = job.calibration, job.evaluation, answers
    if calibration.digest == unseen.digest:
        parts = halves(calibration)
        if len(parts) < 2:
            return ()
        calibration, unseen = parts
        host, known = run_float(captured.source, unseen, memory=job.memory), {}

    def run(scheme: Scheme, settings: QuantSpec) -> Trace:
        return run_quantized(quantize(captured, scheme, settings, calibration), unseen)

    found = []
    for scheme in answers:
        if scheme is Scheme.FLOAT:
            continue
        with stages(f"measure {scheme} with all steps"):
            whole = _worst(known[scheme] if scheme in known else run(scheme, spec), host)
        for step, left_out in STEPS.items():
            settings = spec.model_copy(update=dict(left_out))
            if settings == spec:
                continue
            with stages(_stage(scheme, step)) as detail:
                without = _worst(run(scheme, settings), host)
                found.append(
                    StepGain(step=step, scheme=scheme, samples=len(unseen), sqnr_db=whole, without_sqnr_db=without)
                )
                detail.append("identical" if without is None else f"{without:.2f} dB")
    return tuple(found)


def _stage(scheme: Scheme, step: str) -> str:
    return f"measure {scheme} without {step}"


def _worst(program: Trace, host: Trace) -> float | None:
    return min(quantization_db(program.outputs, host.outputs).values(), default=None)

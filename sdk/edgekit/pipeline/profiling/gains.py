"""What each step of the quantizer that may be left out gives, on samples that quantization did not see."""

from collections.abc import Mapping

from edgekit.base.progress import Stages
from edgekit.bundles.profile import StepGain
from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.execution.eager import run_float, run_quantized
from edgekit.execution.proof import quantization_db
from edgekit.model.program import Captured, Quantized
from edgekit.pipeline.job import Job
from edgekit.quantization import quantize
from edgekit.quantization.folds import halves
from edgekit.spec import STEPS, QuantSpec, Scheme


def of_steps(
    job: Job, captured: Captured, schemes: tuple[Scheme, ...], spec: QuantSpec, stages: Stages
) -> tuple[StepGain, ...]:
    """Quantize again with one step left out at a time, and measure both programs on samples that neither has seen.

    Those are the evaluation samples; where they are the calibration's own, one half of these calibrates and the other
    is measured, the halves that differ most.

    Args:
        job: The model and its data.
        captured: The captured program.
        schemes: Those of the bundle; steps of float there are none.
        spec: The bundle's settings; steps that they leave out are not tried.
        stages: Told about every program.

    Returns:
        None at all where there are too few samples to set some apart.

    Raises:
        QuantizeError: If the model cannot be quantized without a step.
    """
    calibration, unseen = job.calibration, job.evaluation
    if calibration.digest == unseen.digest:
        parts = halves(calibration)
        if len(parts) < 2:
            return ()
        calibration, unseen = parts
    host = run_float(captured.source, unseen, memory=job.memory).outputs

    def ratio(scheme: Scheme, settings: QuantSpec) -> float | None:
        return _worst(quantize(captured, scheme, settings, calibration), unseen, host)

    found = []
    for scheme in dict.fromkeys(schemes):
        if scheme is Scheme.FLOAT:
            continue
        with stages(f"measure {scheme} with all steps"):
            whole = ratio(scheme, spec)
        for step, left_out in STEPS.items():
            settings = spec.model_copy(update=dict(left_out))
            if settings == spec:
                continue
            with stages(f"measure {scheme} without {step}") as detail:
                without = ratio(scheme, settings)
                found.append(
                    StepGain(step=step, scheme=scheme, samples=len(unseen), sqnr_db=whole, without_sqnr_db=without)
                )
                detail.append("identical" if without is None else f"{without:.2f} dB")
    return tuple(found)


def _worst(program: Quantized, unseen: Samples, host: Mapping[str, Rows]) -> float | None:
    return min(quantization_db(run_quantized(program, unseen).outputs, host).values(), default=None)

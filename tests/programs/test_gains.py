"""What a step of the quantizer gives is measured on samples that it did not see, and told by its name."""

import numpy as np
import pytest

from edgekit.base.progress import Silent, Stages
from edgekit.bundles.profile import StepGain
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.program import Captured
from edgekit.pipeline.job import Job
from edgekit.pipeline.profiling.gains import of_steps, plan
from edgekit.quantization import quantize
from edgekit.spec import STEPS, Budget, QuantSpec, Ranges, Scheme
from tests.programs.test_equalize import captured, needy, pictures

pytestmark = pytest.mark.slow


def built(job: Job, program: Captured) -> tuple[dict[Scheme, Trace], Trace]:
    """Return the answers of a build in int8 and float, and the float model's."""
    host = run_float(program.source, job.evaluation)
    int8 = quantize(program, Scheme.INT8, job.quantization, job.calibration)
    return {Scheme.INT8: run_quantized(int8, job.evaluation), Scheme.FLOAT: host}, host


def gains(name: str, spec: QuantSpec, evaluation: Samples | None = None) -> dict[str, StepGain]:
    """Return what each step gives on a network that was built to need one."""
    model, _ = needy(name)
    calibration = pictures(256, 1)
    program = captured(model, calibration)
    job = Job(
        source=program.source,
        calibration=calibration,
        evaluation=evaluation or calibration,
        baseline=None,
        quantization=spec,
        budget=Budget(),
    )
    found = of_steps(job, program, *built(job, program), spec, Stages(Silent()))
    return {one.step: one for one in found}


@pytest.fixture(scope="module", params=["layers", "norms"])
def measured(request: pytest.FixtureRequest) -> tuple[str, dict[str, StepGain]]:
    """A network, the step that it was built to need, and what each step gives."""
    return needy(request.param)[1], gains(request.param, QuantSpec(), pictures(100, 2))


def test_the_step_that_a_network_needs_gives_most(measured: tuple[str, dict[str, StepGain]]) -> None:
    """Each step once for a scheme, all against the same program; those that the network does not need give little."""
    needed, found = measured
    assert set(found) == set(STEPS)
    assert {one.samples for one in found.values()} == {100}
    assert len({one.sqnr_db for one in found.values()}) == 1
    assert max(found, key=lambda step: found[step].gain_db) == needed
    assert found[needed].gain_db > 1
    other = ({"equalization", "smooth_quant"} - {needed}).pop()
    assert abs(found[other].gain_db) < found[needed].gain_db / 2


def test_the_time_left_counts_every_step() -> None:
    """Each stage that is measured stands in the plan of a profile, and no other."""
    told: list[str] = []

    class Listening(Silent):
        def done(self, stage: str, seconds: float, detail: str) -> None:
            """Remember the stage."""
            told.append(stage)

    model, _ = needy("layers")
    calibration = pictures(64, 1)
    program = captured(model, calibration)
    job = Job(
        source=program.source,
        calibration=calibration,
        evaluation=pictures(16, 2),
        baseline=None,
        quantization=QuantSpec(),
        budget=Budget(),
    )
    of_steps(job, program, *built(job, program), QuantSpec(), Stages(Listening()))
    assert told[1:] == list(plan([Scheme.INT8, Scheme.FLOAT]))


def test_a_step_that_is_off_already_is_not_tried() -> None:
    """It gives nothing; the others are measured without it."""
    found = gains("layers", QuantSpec(equalization=False, ranges=Ranges.MINMAX), pictures(100, 2))
    assert set(found) == set(STEPS) - {"equalization", "ranges"}


def test_half_of_the_calibration_samples_stands_in_for_unseen_ones() -> None:
    """Where the evaluation samples are the same; with too few of them nothing is said."""
    found = gains("layers", QuantSpec())
    assert {one.samples for one in found.values()} == {128}
    assert found["equalization"].gain_db > 1
    few = Samples(inputs={"image": np.asarray(pictures(6, 1).inputs["image"])})
    model, _ = needy("layers")
    job = Job(
        source=captured(model, few).source,
        calibration=few,
        evaluation=few,
        baseline=None,
        quantization=QuantSpec(),
        budget=Budget(),
    )
    program = captured(model, few)
    assert of_steps(job, program, *built(job, program), QuantSpec(), Stages(Silent())) == ()

"""Planted faults show in the leg that they are in, and in no other. Real runtimes run real artifacts."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit import lowering
from edgekit.data.trace import Trace
from edgekit.drift.report import DriftReport
from edgekit.execution.artifact import open_artifact
from edgekit.execution.artifact import trace as run_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.pipeline.job import Job
from edgekit.pipeline.legs import References, drift_report
from edgekit.quantization import quantize
from edgekit.spec import Budget, Format, Limits
from edgekit.targets import load
from tests.programs.networks import small_job

pytestmark = pytest.mark.slow
TARGET = load("linux-x86_64")
LIMITS = Limits(min_sqnr_db=20)


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The small network, quantized and lowered, and what its programs computed."""

    job: Job
    host: Trace
    quantized: Trace
    data: bytes

    def report(self, data: bytes, baseline: Trace | None = None) -> DriftReport:
        """Measure every leg with another artifact or another baseline."""
        source = self.job.source
        opened = open_artifact(Format.ONNX, data, TARGET.cpu, source.inputs, source.outputs)
        trace = run_artifact(opened, TARGET.cpu, self.job.evaluation, batch=64, model="")
        programs = {"model.onnx": self.quantized}
        references = References(baseline=baseline or self.host, host=self.host, quantized=programs, notes=())
        return drift_report(self.job, TARGET, references, {"model.onnx": trace})


@pytest.fixture(scope="module")
def stages() -> Stages:
    """Run the stages once."""
    job = small_job(Budget(server=Limits(min_sqnr_db=60), quantization=LIMITS, lowering=LIMITS, total=LIMITS))
    program = quantize(capture(job.source, job.calibration), TARGET.quantization, job.quantization, job.calibration)
    artifact, _ = lowering.lower(Format.ONNX, TARGET, program, None)
    return Stages(
        job=job,
        host=run_float(job.source, job.evaluation),
        quantized=run_quantized(program, job.evaluation),
        data=artifact.data,
    )


def broken_legs(report: DriftReport) -> set[str]:
    """Return the names of the legs that break a limit beyond noise."""
    return {leg.name for leg in report.legs if leg.breaches}


def perturbed(data: bytes) -> bytes:
    """Return an .onnx whose largest weights were halved: what a faulty lowering might do."""
    model = onnx.load_model_from_string(data)
    weights = [item for item in model.graph.initializer if len(item.dims) == 4]
    largest = max(weights, key=lambda item: int(np.prod(item.dims)))
    values = numpy_helper.to_array(largest)
    middle = int(values.astype(np.int64).mean())
    halved = (middle + (values.astype(np.int64) - middle) // 2).astype(values.dtype)
    largest.CopyFrom(numpy_helper.from_array(halved, largest.name))
    return bytes(model.SerializeToString())


def test_without_a_fault_nothing_shows(stages: Stages) -> None:
    """The twin of the two below."""
    assert broken_legs(stages.report(stages.data)) == set()


def test_a_perturbed_artifact_shows_in_the_lowering_leg(stages: Stages) -> None:
    """And in the total, but neither the quantizer nor the server is blamed."""
    report = stages.report(perturbed(stages.data))
    assert broken_legs(report) == {"lowering", "total"}


def test_a_perturbed_baseline_shows_in_the_server_leg(stages: Stages) -> None:
    """And in the total, but neither the quantizer nor the lowering is blamed."""
    generator = np.random.default_rng(0)
    values = stages.host.array("logits")
    noise = generator.normal(size=values.shape).astype(np.float32) * values.std() * 0.3
    baseline = dataclasses.replace(stages.host, outputs={"logits": values + noise})
    assert broken_legs(stages.report(stages.data, baseline)) == {"server", "total"}

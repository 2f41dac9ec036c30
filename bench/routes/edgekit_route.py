"""EdgeKit: the stages of `edgekit build` up to the artifacts, without the verification that no peer does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.routes.route import LARGEST_BATCH, Clock, Task
from edgekit import targets
from edgekit.data.samples import Samples
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize, static
from edgekit.spec import QuantSpec, TensorSpec

_TARGET = "android-arm64"


def build(task: Task, clock: Clock) -> None:
    """Capture, quantize once, and lower to both formats."""
    target = targets.load(_TARGET)
    samples = Samples(inputs={task.input: task.calibration})
    with clock("capture"):
        source = source_from_module(
            name="network",
            model=task.model,
            inputs=(TensorSpec(name=task.input, shape=("batch", *task.calibration.shape[1:])),),
            outputs=(TensorSpec(name="logits", shape=("batch", 10), meaning="logits"),),
            dimensions={"batch": LARGEST_BATCH},
        )
        captured = capture(source, samples)
    with clock("quantize"), _calibration_apart(clock):
        quantized = quantize(captured, target.quantization, QuantSpec(), samples)
    with clock("lower .pte"):
        (task.folder / "model.pte").write_bytes(pte.lower(quantized, target.pte).data)
    with clock("lower .onnx"):
        (task.folder / "model.onnx").write_bytes(onnx.lower(quantized, target.onnx).data)


@contextmanager
def _calibration_apart(clock: Clock) -> Iterator[None]:
    """Make calibration a stage of its own: the samples through the observers, as in the stock recipe's stage.

    EdgeKit has no public stage for it. Where the function is gone, its seconds stay within the quantization's, and the
    page says that calibration was not measured.
    """
    inner = vars(static).get("_calibrate")
    if inner is None:
        yield
        return

    def timed(*arguments: Any) -> None:
        with clock("calibrate"):
            inner(*arguments)

    vars(static)["_calibrate"] = timed
    clock.seconds["quantize"] = 0
    try:
        yield
    finally:
        vars(static)["_calibrate"] = inner
        clock.seconds["quantize"] -= clock.seconds.get("calibrate", 0)

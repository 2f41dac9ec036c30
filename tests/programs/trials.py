"""An artifact of a small network for a chip, and faults planted in it."""

from dataclasses import replace

import onnx
from onnx import numpy_helper

from edgekit import chips
from edgekit.chips import Trial
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.program import Quantized
from edgekit.spec import Format, Target
from tests.programs.networks import images


def trial(target: Target, program: Quantized, format: Format = Format.ONNX) -> Trial:
    """Return the artifact of a program with what it is tried with."""
    captured, samples = program.captured, images(16, seed=2)
    artifact, _ = chips.of_target(target).lower(format, target, program, None)
    return Trial(
        artifact=artifact,
        target=target,
        source=captured.source,
        samples=samples,
        quantized=program,
        answers=run_quantized(program, samples),
        host=run_float(captured.source, samples, batch=1),
        memory=captured.memory,
    )


def with_scale_changed(asked: Trial) -> Trial:
    """Return the trial of an .onnx in which the scale of a convolution's weights is four times as large."""
    model = onnx.load_from_string(asked.artifact.data)
    held = {one.name: one for one in model.graph.initializer}
    kinds = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in held]
    weights = next(node for node in kinds if len(held[node.input[0]].dims) == 4)
    scale = held[weights.input[1]]
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * 4, scale.name))
    return replace(asked, artifact=replace(asked.artifact, data=model.SerializeToString()))


def cut_off(asked: Trial, size: int = 2000) -> Trial:
    """Return the trial of an artifact of which only the beginning is left."""
    return replace(asked, artifact=replace(asked.artifact, data=asked.artifact.data[:size]))

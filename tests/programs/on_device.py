"""A model lowered to a .pte and run there, beside what it computes in torch."""

import inspect
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgekit import lowering, targets
from edgekit.data.rows import Array, whole
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution import artifact as runs
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, Format, QuantSpec, Scheme, TensorSpec

ROWS = 16


@dataclass(frozen=True, kw_only=True)
class OnDevice:
    """An artifact, what the model answers in torch, what the quantized program does, and what the artifact does."""

    artifact: Artifact
    program: Quantized
    reference: list[Array]
    simulated: list[Array]
    answers: list[Array]

    @property
    def delegates(self) -> int:
        """How many delegates the .pte has."""
        from executorch.exir._serialize._program import deserialize_pte_binary

        return len(deserialize_pte_binary(self.artifact.data).program.execution_plan[0].delegates)

    @property
    def db(self) -> float:
        """The least SQNR in dB of the outputs against torch; infinite where they are the same."""
        return min(map(ratio, self.reference, self.answers))

    @property
    def wrong_db(self) -> float:
        """The same of what varies with the answers in the wrong order: what a file that computes another thing has."""
        pairs = zip(self.reference, self.answers, strict=True)
        return max(ratio(one - one.mean(0), other[::-1] - one.mean(0)) for one, other in pairs)


def ratio(reference: Array, answers: Array) -> float:
    """Return the SQNR in dB; infinite where there is no difference."""
    found = sqnr_db(reference.astype(np.float64), answers.astype(np.float64))
    return float("inf") if found is None else found


def on_device(
    model: nn.Module,
    *shapes: tuple[int, ...],
    scheme: Scheme = Scheme.FLOAT,
    batch: int | str = 1,
    format: Format = Format.PTE,
    scale: float = 1.0,
    float_layers: tuple[str, ...] = (),
) -> OnDevice:
    """Build a model with seeded noise as its samples, and run the artifact.

    Args:
        model: The model.
        shapes: The shape of one sample of each input.
        scheme: How to quantize.
        batch: The number of samples in a call, or the name of the dimension if any number up to 32 is allowed.
        format: What to write.
        scale: The standard deviation of the samples.
        float_layers: Paths of the layers that stay float.
    """
    model = model.eval()
    names = list(inspect.signature(model.forward).parameters)
    generator = np.random.default_rng(3)
    arrays = {
        name: (scale * generator.normal(size=(ROWS, *shape))).astype(np.float32)
        for name, shape in zip(names, shapes, strict=True)
    }
    samples = Samples(inputs=arrays)
    reference = _arrays(model, arrays)
    source = source_from_module(
        "model",
        model,
        tuple(TensorSpec(name=name, shape=(batch, *shape)) for name, shape in zip(names, shapes, strict=True)),
        tuple(TensorSpec(name=f"y{i}", shape=(batch, *one.shape[1:])) for i, one in enumerate(reference)),
        {} if batch == 1 else {"batch": 32},
    )
    spec = QuantSpec(bias_correction=False, adaptive_rounding=False, calibration_batch=ROWS, float_layers=float_layers)
    program = quantize(capture(source, samples), scheme, spec, samples)
    artifact, _ = lowering.lower(format, targets.load("linux-arm64"), program, None)
    taken = source_with_batch(source, artifact.batch)
    opened = runs.open_artifact(format, artifact.data, Cpu.ARM64, taken.inputs, taken.outputs)
    found = opened.run(samples, 1 if artifact.batch or batch == 1 else 4)
    simulated = _arrays(program.program.module(check_guards=False), arrays) if program.captured.any_batch else reference
    return OnDevice(
        artifact=artifact,
        program=program,
        reference=reference,
        simulated=simulated,
        answers=[whole(found[spec.name]) for spec in source.outputs],
    )


def _arrays(model: nn.Module, arrays: dict[str, Array]) -> list[Array]:
    with torch.no_grad():
        found = model(*(torch.from_numpy(array) for array in arrays.values()))
    return [one.numpy() for one in ([found] if isinstance(found, Tensor) else found)]

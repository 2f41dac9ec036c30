"""Run a float model or a quantized program in torch. Needs torch alone, so that it also runs on a GPU server."""

from typing import Literal

import numpy as np
import torch

from edgekit.errors import SourceError
from edgekit.program import Quantized, Source, named_outputs
from edgekit.samples import Array, Samples
from edgekit.spec import Scheme
from edgekit.trace import Origin, Trace, precision
from edgekit.versions import cpu_name, installed

Device = Literal["cuda", "cpu"]


def run_float(source: Source, samples: Samples, *, device: Device = "cpu", batch: int = 64) -> Trace:
    """Run the float model in float32 and return what it computed.

    Args:
        source: The model; moved to the device and back.
        samples: What to feed it.
        device: Where to run.
        batch: Samples per call.

    Raises:
        SourceError: If the model fails, or gives values that are not finite.
    """
    outputs = _run(source.model.to(device), source, samples, device, batch)
    source.model.to("cpu")
    bad = [name for name, array in outputs.items() if not np.isfinite(array).all()]
    if bad:
        raise SourceError(
            f"The float model {source.name} gives NaN or infinity in {', '.join(bad)}: nothing compares with it.",
            hint="Check the weights and the preprocessing.",
        )
    origin = Origin(
        program="float",
        device=device,
        device_name=torch.cuda.get_device_name() if device == "cuda" else cpu_name(),
        dtype="float32",
        tf32=device == "cuda" and torch.backends.cudnn.allow_tf32,
        kernels=f"torch {torch.__version__} {'cuDNN' if device == 'cuda' else 'CPU'}",
        versions=installed("torch", "numpy") | ({"cuda": str(torch.version.cuda)} if device == "cuda" else {}),
        model=source.weights_sha256,
        samples=samples.digest,
    )
    return Trace(samples=samples, outputs=outputs, origin=origin)


def run_quantized(quantized: Quantized, samples: Samples) -> Trace:
    """Run the quantized program in torch: its operations compute in float between roundings.

    Args:
        quantized: The program.
        samples: What to feed it.
    """
    source = quantized.captured.source
    batch = min(source.dimensions.values(), default=1)
    outputs = _run(quantized.program.module(check_guards=False), source, samples, "cpu", batch)
    origin = Origin(
        program="quantized",
        device="cpu",
        device_name=cpu_name(),
        dtype=precision(quantized.scheme),
        kernels=f"torch {torch.__version__} {'CPU' if quantized.scheme is Scheme.FLOAT else 'fake quantization'}",
        versions=installed("torch", "torchao", "executorch", "numpy"),
        model=source.weights_sha256,
        samples=samples.digest,
    )
    return Trace(samples=samples, outputs=outputs, origin=origin)


def _run(model: torch.nn.Module, source: Source, samples: Samples, device: Device, batch: int) -> dict[str, Array]:
    rows = []
    with torch.inference_mode():
        for part in samples.batches(batch):
            tensors = [torch.from_numpy(part.inputs[spec.name]).to(device) for spec in source.inputs]
            try:
                rows.append(named_outputs(source.name, model(*tensors), source.outputs))
            except RuntimeError as error:
                raise SourceError(
                    f"{source.name} fails on {device} with a batch of {len(part)}: {error}",
                    hint="Check the shapes in [[inputs]] and [dimensions] of the project file.",
                ) from error
    return {spec.name: np.concatenate([row[spec.name].cpu().numpy() for row in rows]) for spec in source.outputs}

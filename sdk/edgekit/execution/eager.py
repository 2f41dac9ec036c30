"""Run a float model or a quantized program in torch. Needs torch alone, so that it also runs on a GPU server."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from edgekit.base.memory import Memory
from edgekit.base.versions import cpu_name, installed
from edgekit.data.gathered import Gathered
from edgekit.data.rows import Array, Rows, chunks
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace, precision
from edgekit.errors import SourceError
from edgekit.model.program import Quantized, Source, named_outputs
from edgekit.model.rounded import module_of
from edgekit.model.together import together
from edgekit.spec import Scheme

Device = Literal["cuda", "cpu"]
Precision = Literal["float32", "bfloat16", "float16"]


def run_float(
    source: Source,
    samples: Samples,
    *,
    device: Device = "cpu",
    batch: int | None = None,
    precision: Precision = "float32",
    tf32: bool | None = None,
    memory: Memory | None = None,
) -> Trace:
    """Run the float model and return what it computed, in float32.

    Args:
        source: The model; moved to the device and back.
        samples: What to feed it.
        device: Where to run.
        batch: Samples per call; None: as many as change no answer.
        precision: What weights, inputs and activations are converted to first.
        tf32: Whether TensorFloat-32 is allowed in matrix products and convolutions; None: as torch is set.
        memory: Bounds the batch where none is given, and what is held of the outputs.

    Raises:
        SourceError: If the model fails, or gives values that are not finite.
    """
    memory = memory or Memory()
    batch = together(source, samples, memory) if batch is None else batch
    if precision == "float32":
        with _tensor_float(tf32):
            outputs = _run(source.model.to(device), source, samples, device, batch, memory)
            allowed = torch.backends.cudnn.allow_tf32
        source.model.to("cpu")
    else:
        model = copy.deepcopy(source.model).to(device, getattr(torch, precision))
        outputs = _run(model, source, samples, device, batch, memory, getattr(torch, precision))
        allowed = False
    bad = [name for name, rows in outputs.items() if not all(np.isfinite(part).all() for _, part in chunks(rows))]
    if bad:
        raise SourceError(
            f"The float model {source.name} gives NaN or infinity in {', '.join(bad)} in {precision}: nothing compares "
            "with it.",
            hint="Check the weights and the preprocessing."
            if precision == "float32"
            else f"The model does not run in {precision}: leave --dtype {precision} out.",
        )
    origin = Origin(
        program="float",
        device=device,
        device_name=torch.cuda.get_device_name() if device == "cuda" else cpu_name(),
        dtype=precision,
        tf32=device == "cuda" and allowed,
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
    source, captured = quantized.captured.source, quantized.captured
    outputs = _run(module_of(quantized.program), source, samples, "cpu", captured.rows, captured.memory)
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


@contextlib.contextmanager
def _tensor_float(allowed: bool | None) -> Iterator[None]:
    """Allow TensorFloat-32 or not, and leave torch as it was afterwards."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    if allowed is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _run(
    model: torch.nn.Module,
    source: Source,
    samples: Samples,
    device: Device,
    batch: int,
    memory: Memory,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Rows]:
    found = Gathered(len(samples), memory.held)
    with torch.inference_mode():
        for part in samples.batches(batch, multiple=source.batch or 1):
            tensors = [torch.from_numpy(part.array(spec.name)).to(device) for spec in source.inputs]
            if dtype is not torch.float32:
                tensors = [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors]
            try:
                outputs = named_outputs(source.name, model(*tensors), source.outputs)
            except RuntimeError as error:
                raise SourceError(
                    f"{source.name} fails on {device} with a batch of {len(part)}: {error}",
                    hint="Check the shapes in [[inputs]] and [dimensions] of the project file.",
                ) from error
            found.add({spec.name: _array(outputs[spec.name]) for spec in source.outputs})
    return found.rows()


def _array(tensor: torch.Tensor) -> Array:
    """Return a tensor as an array; NumPy has no bfloat16."""
    array: Array = (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).cpu().numpy()
    return array

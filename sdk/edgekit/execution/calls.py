"""Run samples in calls, whatever runtime makes them."""

from collections.abc import Callable, Mapping

from edgekit.base.memory import Memory
from edgekit.data.gathered import Gathered
from edgekit.data.rows import Array, Rows
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.spec import Format, TensorSpec
from edgekit.spec.tensors import fixed_batch

Call = Callable[[Samples], Mapping[str, Array]]
"""Runs a batch and returns the outputs by name; what it returns may be written over by the next call."""


def no_runtime(format: Format) -> RunError:
    """Return what to raise where a file is to be run by itself that only its chip's library runs, see `chips`."""
    return RunError(
        f"A .{format} runs on the device, and here in its chip's library while a build verifies it; not by itself.",
        hint="Take the .pte or the .onnx of a CPU target, or look into the bundle's report.",
    )


def execute(
    call: Call, samples: Samples, inputs: tuple[TensorSpec, ...], *, batch: int, memory: Memory | None = None
) -> dict[str, Rows]:
    """Run the samples and return the outputs by name.

    Args:
        call: Runs one batch.
        samples: What to feed it.
        inputs: What goes in. Where its batch is a number, every call gets so many.
        batch: Samples per call where the batch is a name.
        memory: Bounds what is held of the outputs.

    Raises:
        RunError: If the runtime refuses the inputs or fails.
    """
    fixed = fixed_batch(inputs)
    found = Gathered(len(samples), (memory or Memory()).held)
    for part in samples.batches(fixed or batch, multiple=fixed or 1):
        found.add(call(part))
    return found.rows()

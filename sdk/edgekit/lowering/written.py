"""What is known of a .pte from the moment that it is written."""

from collections.abc import Sequence

from executorch.exir import ExecutorchProgramManager

from edgekit.model.artifact import Artifact
from edgekit.model.left_out import LeftOut
from edgekit.spec import Format, Scheme


def artifact_of(
    executable: ExecutorchProgramManager,
    scheme: Scheme,
    *,
    delegated_fraction: float,
    int8_fraction: float,
    not_delegated: Sequence[str],
    left_out: Sequence[LeftOut],
    operations: int,
    batch: int | None = None,
) -> Artifact:
    """Return the artifact of what ExecuTorch wrote.

    Args:
        executable: The program in its memory plan, and the bytes of the file.
        scheme: What it was quantized as.
        delegated_fraction: The share of operations that a delegate, or the chip's own kernels, take.
        int8_fraction: The share of operations that compute with integers.
        not_delegated: Places of the operations that they do not take.
        left_out: What these cost.
        operations: How many operations there are, those in delegates among them.
        batch: The number of samples that a call takes, where the model takes any.
    """
    plan = executable.executorch_program.execution_plan[0]
    return Artifact(
        format=Format.PTE,
        data=bytes(executable.buffer),
        scheme=scheme,
        operators=tuple(sorted({f"{one.name}.{one.overload}".rstrip(".") for one in plan.operators})),
        delegates=tuple(sorted({one.id for one in plan.delegates})),
        delegated_fraction=delegated_fraction,
        int8_fraction=int8_fraction,
        not_delegated=tuple(not_delegated),
        left_out=tuple(left_out),
        operations=operations,
        # The first entry is no buffer. What a delegate allocates for itself when it is loaded is not among them.
        planned_bytes=sum(plan.non_const_buffer_sizes[1:]),
        batch=batch,
    )

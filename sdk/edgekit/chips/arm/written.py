"""What the lowerings for Arm's chips have in common: a batch of one, translated refusals, and what an artifact says."""

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from executorch.exir import ExecutorchProgramManager
from torch.export import ExportedProgram

from edgekit.chips.islands import float_islands
from edgekit.errors import EdgeKitError, LowerError
from edgekit.lowering.written import artifact_of
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import can_narrow, with_batch
from edgekit.model.program import Quantized
from edgekit.spec import Scheme

MOVES = {
    f"aten::{name}" for name in (
        "cat", "clone", "constant_pad_nd", "expand_copy", "permute_copy", "select_copy", "slice_copy", "split_copy",
        "split_with_sizes_copy", "squeeze_copy", "stack", "unsqueeze_copy", "view_copy",
    )
} | {"executorch_prim::et_view", "dim_order_ops::_clone_dim_order"}  # fmt: skip
"""Kernels that move integers, and compute nothing."""


def alone(quantized: Quantized) -> ExportedProgram:
    """Return a copy of a program that takes one sample: these chips have no use for more.

    Raises:
        LowerError: If the scheme is not int8, or the program cannot be written for a batch of one.
    """
    source, name = quantized.captured.source, quantized.captured.source.name
    if quantized.scheme is not Scheme.INT8:
        raise LowerError(
            f"{name} cannot be lowered as {quantized.scheme} for a chip that computes with 8 bits alone.",
            hint='Build it as quantization = "int8".',
        )
    if not quantized.captured.any_batch:
        return copy.deepcopy(quantized.program)
    if not can_narrow(quantized.program):
        raise LowerError(
            f"{name} has branches, loops or sizes that depend on values, of which no program for one sample is made.",
            hint="Leave this target out.",
        )
    return copy.deepcopy(with_batch(quantized.program, source, source.batch or 1))


def batch(quantized: Quantized) -> int | None:
    """Return the batch that an artifact of the program is fixed to, where the model's own is not."""
    captured = quantized.captured
    return 1 if captured.any_batch and captured.source.batch is None else None


@contextmanager
def refusing(quantized: Quantized, title: str) -> Iterator[None]:
    """Translate what the compiler raises, of whatever class.

    Raises:
        LowerError: In its place.
    """
    try:
        yield
    except EdgeKitError:
        raise
    except Exception as error:
        last = error
        while last.__cause__ is not None:
            last = last.__cause__  # type: ignore[assignment]
        reason = str(last).strip().partition("\n")[0]
        raise LowerError(
            f"{quantized.captured.source.name} cannot be lowered for {title}: {reason}",
            hint="Run again with --debug to see which operation it stops at, or leave this target out.",
        ) from error


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep a library from warning of what is counted and reported here."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def computed(quantized: Quantized) -> int:
    """Return how many operations of a program compute."""
    return sum(map(graph.is_compute, quantized.program.graph.nodes))


def artifact(
    quantized: Quantized, executable: ExecutorchProgramManager, elsewhere: Sequence[str], count: int
) -> Artifact:
    """Return what is known of a .pte.

    Args:
        quantized: The program.
        executable: What ExecuTorch made of it.
        elsewhere: Kernels that the chip's own are not.
        count: Of so many.
    """
    share = 1 - len(elsewhere) / max(count, 1)
    found = artifact_of(
        executable,
        quantized.scheme,
        delegated_fraction=share,
        int8_fraction=share,
        not_delegated=tuple(dict.fromkeys(elsewhere)),
        left_out=float_islands(quantized),
        operations=count,
        batch=batch(quantized),
    )
    note = f"{found.file} takes 1 sample in each call: the chip has no use for more."
    return replace(found, notes=(note,)) if found.batch else found

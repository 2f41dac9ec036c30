"""Lower a quantized program to an ExecuTorch .pte whose graph the XNNPACK delegate takes."""

import contextlib
import copy
from dataclasses import replace

from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
from executorch.exir import EdgeProgramManager, to_edge_transform_and_lower
from executorch.exir.lowered_backend_module import get_lowered_submodules
from torch import fx

from edgekit.errors import LowerError
from edgekit.lowering.decomposed import write_decomposed
from edgekit.lowering.partition import Partitioner, bodies
from edgekit.lowering.rewriting import drop_unused, has_loops, has_recurrent_layers, inline_weights, rewrite
from edgekit.lowering.shape import infer_batches, pool_means, widen_convolutions
from edgekit.lowering.shortcuts import shortcuts
from edgekit.lowering.steps import keep_steps
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import can_narrow, with_batch
from edgekit.model.program import Quantized
from edgekit.spec import Format, PteSettings
from edgekit.spec.schemes import obstacle


def lower(quantized: Quantized, settings: PteSettings) -> Artifact:
    """Write the .pte; the quantized program is left as it was.

    Args:
        quantized: The program to lower.
        settings: The delegate to use.

    Raises:
        LowerError: If ExecuTorch refuses the program, has no kernels for its scheme, or if no operation was delegated.
    """
    name = quantized.captured.source.name
    if reason := obstacle(quantized.scheme, Format.PTE):
        raise LowerError(f"{name} cannot be lowered as {quantized.scheme}: {reason}.", hint="Choose another scheme.")
    if not _batch_may_be_fixed(quantized):
        return _lower(quantized, settings)[0]
    if has_recurrent_layers(quantized.program):
        return _lower_one(quantized, settings)[0]
    try:
        artifact, pieces = _lower(quantized, settings)
    except LowerError:
        with contextlib.suppress(LowerError):
            return _lower_one(quantized, settings)[0]
        raise
    if pieces > 1:
        one, fewer = _lower_one(quantized, settings)
        if fewer < pieces:
            return one
    return artifact


def _batch_may_be_fixed(quantized: Quantized) -> bool:
    """Whether the program takes any number of samples, and one of a fixed number can be made of it."""
    captured = quantized.captured
    return captured.source.batch is None and captured.any_batch and can_narrow(quantized.program)


def _lower_one(quantized: Quantized, settings: PteSettings) -> tuple[Artifact, int]:
    """Lower the program for one sample a call: pieces can be cut out of tensors of fixed sizes alone."""
    program = with_batch(quantized.program, quantized.captured.source, 1)
    artifact, pieces = _lower(replace(quantized, program=program), settings)
    return replace(artifact, batch=1), pieces


def _lower(quantized: Quantized, settings: PteSettings) -> tuple[Artifact, int]:
    """Return the .pte, and of how many delegates and operations outside it consists."""
    name = quantized.captured.source.name
    program = copy.deepcopy(quantized.program)
    rewrite(program)
    widen_convolutions(program)
    infer_batches(program)
    pool_means(program)
    keep_steps(program)
    write_decomposed(program)
    try:
        with shortcuts():
            passes = [inline_weights(program)] if has_loops(program) else None
            edge = to_edge_transform_and_lower(program, transform_passes=passes, partitioner=[Partitioner()])
            drop_unused(edge.exported_program())
            inside, outside = _shares(edge)  # before the next line: it adds nodes for memory to the same graph
            executable = edge.to_executorch()
    except Exception as error:  # the lowering raises many unrelated classes
        raise LowerError(
            f"ExecuTorch cannot lower {name} for {settings.delegate}: {error}",
            hint="Run again with --debug to see which operation it stops at.",
        ) from error
    if not inside:
        raise LowerError(
            f"Nothing of {name} was delegated to {settings.delegate}: it would run on slow portable kernels.",
            hint="Check that the network has convolution or linear layers with static weights.",
        )
    plan = executable.executorch_program.execution_plan[0]
    artifact = Artifact(
        format=Format.PTE,
        data=bytes(executable.buffer),
        scheme=quantized.scheme,
        operators=tuple(sorted({f"{op.name}.{op.overload}".rstrip(".") for op in plan.operators})),
        delegates=tuple(sorted({delegate.id for delegate in plan.delegates})),
        delegated_fraction=inside / (inside + len(outside)),
        int8_fraction=graph.int8_fraction(quantized.program.graph, _int8_operations()),
        not_delegated=outside,
        # The first entry is no buffer. What a delegate allocates for itself when it is loaded is not among them.
        planned_bytes=sum(plan.non_const_buffer_sizes[1:]),
    )
    return artifact, sum(len(chain.instructions) for chain in plan.chains)


def _shares(edge: EdgeProgramManager) -> tuple[int, tuple[str, ...]]:
    """Return how many compute operations were delegated, and those that were not."""
    whole = edge.exported_program().graph_module
    inside, outside = 0, []
    for part in (whole, *bodies(whole)):
        delegated = [lowered.original_module.graph_module for _, lowered, _ in get_lowered_submodules(part)]
        inside += sum(graph.is_compute(node) for module in delegated for node in module.graph.nodes)
        outside += [node for node in part.graph.nodes if graph.is_compute(node)]
    left = [node for node in outside if graph.operation(node) not in ("executorch_call_delegate", "scan")]
    return inside, tuple(map(_describe, left))


def _int8_operations() -> frozenset[str]:
    """Operations with int8 kernels, as the partitioner itself says; a convolution counts under its captured names."""
    names = set()
    for config in ALL_PARTITIONER_CONFIGS:
        if ConfigPrecisionType.STATIC_QUANT in config().supported_precision_types():
            names.add(str(config.target_name).split(".")[0].removesuffix("_copy"))
    return frozenset(names | ({"conv1d", "conv2d"} if "convolution" in names else set()))


def _describe(node: fx.Node) -> str:
    path = graph.module_path(node)
    return f"{graph.operation(node)} ({path})" if path else graph.operation(node)

"""Lower a quantized program to an ExecuTorch .pte whose graph the XNNPACK delegate takes."""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
from executorch.exir import EdgeCompileConfig, EdgeProgramManager, to_edge_transform_and_lower
from executorch.exir.lowered_backend_module import get_lowered_submodules
from torch import fx

from edgekit.errors import CompatibilityError, LowerError, RunError
from edgekit.lowering.blame import blamed, check_kernels
from edgekit.lowering.conversions import convert_in_delegate
from edgekit.lowering.decomposed import write_decomposed
from edgekit.lowering.left_out import left_out
from edgekit.lowering.partition import Partitioner, bodies
from edgekit.lowering.refusal import Try, Write, compute_in_float, without_refused
from edgekit.lowering.rewriting import drop_unused, has_recurrent_layers, inline_weights, rewrite
from edgekit.lowering.shape import infer_batches, pool_means
from edgekit.lowering.shortcuts import shortcuts
from edgekit.lowering.steps import keep_steps
from edgekit.lowering.symbols import keeping_sizes
from edgekit.lowering.written import artifact_of
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import can_narrow, with_batch
from edgekit.model.program import Quantized
from edgekit.spec import Format, PteSettings, Scheme
from edgekit.spec.schemes import obstacle

# Linear layers in the bodies of loops, which no decomposition may have put there otherwise.
_CONFIG = EdgeCompileConfig(_core_aten_ops_exception_list=[torch.ops.aten.linear.default])
Check = Callable[[Artifact], None]
_FIXED = (
    "{file} takes {batch} sample in each call: for any number its delegate would leave more operations outside, which "
    "copy and compute slowly."
)


def lower(quantized: Quantized, settings: PteSettings, check: Check | None = None) -> Artifact:
    """Write the .pte; the quantized program is left as it was.

    What the delegate refuses, here or when the file is tried out, is looked for and left outside of it, with a note.

    Args:
        quantized: The program to lower.
        settings: The delegate to use.
        check: Loads and runs the file, and raises `RunError` if that fails.

    Raises:
        LowerError: If ExecuTorch refuses the program, has no kernels for its scheme, or if no operation was delegated.
    """
    name = quantized.captured.source.name
    if reason := obstacle(quantized.scheme, Format.PTE):
        raise LowerError(f"{name} cannot be lowered as {quantized.scheme}: {reason}.", hint="Choose another scheme.")
    check_kernels(name, quantized.program.graph)
    any_batch = _lowering(quantized, settings, check)
    captured = quantized.captured
    if captured.source.batch is not None or not captured.any_batch or not can_narrow(quantized.program):
        return _delegated(name, settings, any_batch(frozenset()), any_batch)
    alone = replace(quantized, program=with_batch(quantized.program, captured.source, 1))
    one = _lowering(alone, settings, check, batch=1)
    if has_recurrent_layers(quantized.program):
        return _delegated(name, settings, one(frozenset()), one)
    first = any_batch(frozenset())
    if first.artifact is None or first.pieces > 1:
        # Pieces can be cut out of tensors of fixed sizes alone.
        second = one(frozenset())
        if second.artifact is not None and (first.artifact is None or second.pieces < first.pieces):
            return _delegated(name, settings, second, one)
    return _delegated(name, settings, first, any_batch)


def _lowering(quantized: Quantized, settings: PteSettings, check: Check | None, batch: int | None = None) -> Write:
    """Return what lowers a program with some nodes outside of the delegate, and tries the file out."""

    def write(outside: frozenset[str]) -> Try:
        partitioner = Partitioner(outside)
        try:
            with keeping_sizes(quantized.program):
                artifact, pieces = _write(quantized, settings, partitioner)
            if batch is not None:
                artifact = replace(artifact, batch=batch, notes=(_FIXED.format(file=artifact.file, batch=batch),))
            if check is not None:
                check(artifact)
        except (CompatibilityError, LowerError, RunError) as error:
            return Try(artifact=None, error=error, taken=tuple(partitioner.taken))
        return Try(artifact=artifact, error=None, taken=tuple(partitioner.taken), pieces=pieces)

    return write


def _delegated(name: str, settings: PteSettings, first: Try, write: Write) -> Artifact:
    artifact = first.artifact or without_refused(name, first, write)
    if artifact.delegated_fraction == 0:
        raise LowerError(
            f"Nothing of {name} was delegated to {settings.delegate}: it would run on slow portable kernels.",
            hint="Check that the network has convolution or linear layers with static weights.",
        )
    return artifact


def _write(quantized: Quantized, settings: PteSettings, partitioner: Partitioner) -> tuple[Artifact, int]:
    """Return the .pte, and of how many delegates and operations outside it consists."""
    name = quantized.captured.source.name
    program = copy.deepcopy(quantized.program)
    recurrent = any(map(graph.is_recurrent, program.graph.nodes))
    rewrite(program)
    infer_batches(program)
    pool_means(program)
    keep_steps(program)
    convert_in_delegate(program)
    write_decomposed(program)
    passes = [inline_weights(program)] if recurrent else []
    if partitioner.outside:
        passes.append(compute_in_float(partitioner.outside))
    edge = None
    try:
        with shortcuts():
            edge = to_edge_transform_and_lower(
                program, transform_passes=passes or None, partitioner=[partitioner], compile_config=_CONFIG
            )
            drop_unused(edge.exported_program())
            inside, outside = shares(edge)  # before the next line: it adds nodes for memory to the same graph
            left = left_out(quantized.program, _in_float(quantized), outside, partitioner.reason)
            executable = edge.to_executorch()
    except Exception as error:  # the lowering raises many unrelated classes
        stands = edge.exported_program().graph if edge else None
        if known := blamed(name, quantized.program.graph, Format.PTE, error, stands):
            raise known from error
        raise LowerError(
            f"ExecuTorch cannot lower {name} for {settings.delegate}: {error}",
            hint="Run again with --debug to see which operation it stops at.",
        ) from error
    artifact = artifact_of(
        executable,
        quantized.scheme,
        delegated_fraction=inside / max(inside + len(outside), 1),
        int8_fraction=graph.int8_fraction(quantized.program.graph, _int8_operations()),
        not_delegated=tuple(map(graph.place, outside)),
        left_out=left,
        operations=inside + len(outside),
    )
    chains = executable.executorch_program.execution_plan[0].chains
    return artifact, sum(len(chain.instructions) for chain in chains)


def shares(edge: EdgeProgramManager) -> tuple[int, tuple[fx.Node, ...]]:
    """Return how many compute operations were delegated, and those that were not."""
    whole = edge.exported_program().graph_module
    inside, outside = 0, []
    for part in (whole, *bodies(whole)):
        delegated = [lowered.original_module.graph_module for _, lowered, _ in get_lowered_submodules(part)]
        inside += sum(graph.is_compute(node) for module in delegated for node in module.graph.nodes)
        outside += [node for node in part.graph.nodes if graph.is_compute(node)]
    left = [node for node in outside if graph.operation(node) not in ("executorch_call_delegate", "scan")]
    return inside, tuple(left)


def _in_float(quantized: Quantized) -> dict[fx.Node, str]:
    """Return what computes in float of what was to compute with integers; of other schemes that is what they mean."""
    if quantized.scheme not in (Scheme.INT8, Scheme.INT8_MIXED):
        return {}
    return graph.in_float(quantized.program.graph, _int8_operations(), quantized.float_layers)


def _int8_operations() -> frozenset[str]:
    """Operations with int8 kernels, as the partitioner itself says; a convolution counts under its captured names."""
    names = set()
    for config in ALL_PARTITIONER_CONFIGS:
        if ConfigPrecisionType.STATIC_QUANT in config().supported_precision_types():
            names.add(str(config.target_name).split(".")[0].removesuffix("_copy"))
    return frozenset(names | ({"conv1d", "conv2d"} if "convolution" in names else set()))

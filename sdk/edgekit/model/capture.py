"""Capture: a float model becomes an exported program whose shapes keep their symbols."""

import contextlib
import functools
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram, export

from edgekit.base.memory import Memory
from edgekit.data.rows import Rows, in_memory
from edgekit.data.samples import Samples
from edgekit.errors import CaptureError
from edgekit.model.distances import PlainDistances
from edgekit.model.flat import flat
from edgekit.model.forms import STANDARD_FORMS
from edgekit.model.layout import PlainLayout
from edgekit.model.masks import masks_as_given, without_masks
from edgekit.model.narrow import can_narrow
from edgekit.model.outputs import placeholder
from edgekit.model.pairs import without_complex
from edgekit.model.program import Captured, Source
from edgekit.model.recurrence import traced_by_shape
from edgekit.model.refusals import refused, without_gradients
from edgekit.model.repeat import check_repeatable
from edgekit.model.sizes import resized
from edgekit.model.together import fitting, together
from edgekit.model.unbatched import carry_batch
from edgekit.model.userline import fixing_sizes
from edgekit.model.writes import without_writes
from edgekit.spec import Dimension, TensorSpec
from edgekit.spec.usercode import contained

# torch picks a convolution backend by batch size while it traces, and that choice adds the guard `batch < 16` when the
# traced batch is smaller: the .pte then refuses larger batches although the program allows them. Seen in torch 2.13.
_TRACED_BATCH = 16
# The largest batch that torch may be given of a model whose artifacts have a fixed one.
_LARGEST = 4096
# Least sizes to try where 1 is refused: halved so many times they stay over 1.
_LEAST = (2, 5, 17, 65, 257)

_aten = torch.ops.aten
_CHECKS = {_aten._assert_scalar.default, _aten.sym_constrain_range.default, _aten.sym_constrain_range_for_size.default}
# What does nothing in eval mode, or at all: a slice of everything is an alias.
_NOTHING = {
    _aten.dropout.default, _aten.feature_dropout.default, _aten.alpha_dropout.default,
    _aten.feature_alpha_dropout.default, _aten.alias.default, _aten.detach.default,
}  # fmt: skip
_RESHAPES = {_aten.flatten.using_ints, _aten.view.default, _aten.reshape.default, _aten.unflatten.int}


def capture(source: Source, samples: Samples, memory: Memory | None = None) -> Captured:
    """Export the model with its symbolic dimensions.

    A model of a fixed batch is exported for any batch where it computes each sample by itself: it then runs here on
    many at once, and is lowered with the batch that it has.

    Args:
        source: The float model.
        samples: Real inputs to trace with; the first rows are taken, repeated where there are too few.
        memory: What runs and walks of the program may take.

    Raises:
        CaptureError: If ``torch.export`` refuses the model, or fixes a dimension that was declared symbolic.
    """
    memory = memory or Memory()
    rows = together(source, samples, memory)
    reasons: list[CaptureError] = []
    for narrowed in _from_larger_sizes(source, samples):
        try:
            return _bounded(_with_batch(narrowed, samples, rows), memory)
        except CaptureError as error:
            reasons.append(error)
            if "onstraint" not in error.message:
                break
    raise reasons[0]


def _bounded(captured: Captured, memory: Memory) -> Captured:
    """Take fewer samples at once where the largest activation asks for it."""
    rows = min(captured.rows, fitting(captured.program, memory.batch)) if captured.any_batch else captured.rows
    first = captured.source.inputs[0].shape[0]
    least = captured.source.dimensions[first].least if isinstance(first, str) else 1
    return replace(captured, rows=max(rows, least), memory=memory)


def _from_larger_sizes(source: Source, samples: Samples) -> Iterator[Source]:
    """Yield a source, then the same with larger least sizes where none is given.

    The exporter tells sizes of one from all others. So it refuses a range in which a size that follows from it, half of
    it for instance, may be one.
    """
    yield source
    axes = {name: (spec.name, axis) for spec in source.inputs for axis, name in enumerate(spec.shape) if axis}
    free = {str(name): size for name, size in source.dimensions.items() if name in axes and size.min is None}
    for least in _LEAST:
        taken = {
            name: size.from_least(least)
            for name, size in free.items()
            if least <= samples.inputs[axes[name][0]].shape[axes[name][1]]
        }
        if not taken:
            return
        words = ", ".join(f"{name} is {size.least} at least" for name, size in taken.items())
        note = f"{words}: torch.export takes no smaller ones of this model."
        yield replace(source, dimensions={**source.dimensions, **taken}, notes=(*source.notes, note))


def _with_batch(source: Source, samples: Samples, rows: int) -> Captured:
    """Capture for any batch, if the model allows it, or for the batch that it has."""
    if source.batch is not None and rows > source.batch:
        with contextlib.suppress(CaptureError):  # it fixes the batch
            found = _captured(source, samples, rows, any_batch=True)
            if can_narrow(found.program):
                return found
    return _captured(source, samples, source.batch or rows, any_batch=False)


def shapes_of(source: Source, *, any_batch: bool) -> tuple[dict[int, Any], ...]:
    """Return the symbolic dimensions of each input by axis, as ``torch.export`` takes them.

    Args:
        source: The float model.
        any_batch: Whether the batch is symbolic although the model's is fixed.
    """
    first = source.inputs[0].shape[0]
    dims = {
        name: _symbol(name, _with_room(size) if name == first else size) for name, size in source.dimensions.items()
    }
    batch = {0: Dim("batch", min=1, max=_LARGEST)} if any_batch else {}
    return tuple(
        {axis: dims[size] for axis, size in enumerate(spec.shape) if isinstance(size, str)} | batch
        for spec in source.inputs
    )


def _captured(source: Source, samples: Samples, rows: int, *, any_batch: bool) -> Captured:
    """Capture with the symbol ``batch`` in place of the number of samples, or with the model's own sizes."""
    shapes = shapes_of(source, any_batch=any_batch)
    traced = _TRACED_BATCH if any_batch or source.most >= _TRACED_BATCH - 1 else source.most
    example = tuple(_example(source, samples.inputs[spec.name], spec, traced) for spec in source.inputs)
    with fixing_sizes() as fixed:
        try:
            with (
                warnings.catch_warnings(), PlainLayout(), PlainDistances(), traced_by_shape(), without_gradients(),
                masks_as_given(), contained(),
            ):  # fmt: skip
                warnings.simplefilter("ignore")
                program = export(flat(source), example, dynamic_shapes=shapes, strict=False)
        except Exception as error:  # the exporter raises many unrelated classes for what is one thing to a person
            raise refused(source.name, error, fixed) from error
    program = without_writes(program, source.name)
    check_repeatable(source, example, program.graph)
    again = functools.partial(export, args=example, dynamic_shapes=shapes, strict=False)
    program = without_complex(without_masks(program, again), again)
    _simplify(program)
    if source.unbatched:
        carry_batch(program)
    return Captured(source=source, program=program, example=example, dynamic_shapes=shapes, rows=rows)


@traced_by_shape()
def capture_again(module: fx.GraphModule, captured: Captured) -> ExportedProgram:
    """Export a graph that was made of a captured program, for the sizes that the program was captured for.

    What torch cannot prove of sizes anew is what it proved then, and is not checked while the program runs.
    """
    again = functools.partial(export, module, captured.example, dynamic_shapes=captured.dynamic_shapes, strict=False)
    try:
        return again()
    except UserError:  # which of a model that was captured before can only be of sizes
        program = again(prefer_deferred_runtime_asserts_over_guards=True)
    for node in list(program.graph.nodes):
        if node.op == "call_function" and node.target in _CHECKS:
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
    for node in program.graph.nodes:  # every decomposition would write them again
        mode = getattr(node.meta.get("val"), "fake_mode", None)
        if mode is not None and mode.shape_env is not None:
            mode.shape_env.deferred_runtime_asserts.clear()
    return program


def _symbol(name: str, size: Dimension) -> Any:
    step, symbol = size.multiple, placeholder(name)
    if step == 1:
        return Dim(symbol, min=size.least, max=size.max)
    return step * Dim(f"{symbol}_steps", min=size.least // step, max=size.max // step)


def _with_room(size: Dimension) -> Dimension:
    """Return a batch whose largest size is over the traced one: a size that is both is lowered as a fixed one.

    Seen in ExecuTorch 1.5.1: the delegate's output then has the size that was traced, whatever goes in.
    """
    if size.max > _TRACED_BATCH:
        return size
    most = _TRACED_BATCH if size.max >= _TRACED_BATCH - 1 else size.max
    return size.model_copy(update={"max": most + size.multiple})


def _example(source: Source, array: Rows, spec: TensorSpec, rows: int) -> Tensor:
    """Return the first rows; a symbolic size of one or the largest would be taken for fixed, so others are traced."""
    shape = [spec.shape[0] if isinstance(spec.shape[0], int) and rows < _TRACED_BATCH else rows, *array.shape[1:]]
    for axis, size in list(enumerate(spec.shape))[1:]:
        if isinstance(size, str) and shape[axis] == 1:
            shape[axis] = source.dimensions[size].nearest(2)
        if isinstance(size, str) and shape[axis] == source.dimensions[size].max > 2:
            shape[axis] = source.dimensions[size].nearest(shape[axis] - 1)
    return resized(torch.from_numpy(in_memory(array[:rows])), tuple(shape))


def _simplify(program: ExportedProgram) -> None:
    """Drop what does nothing in eval mode and write reshapes so that a delegate can take them.

    A reshape that names the symbolic batch is refused by XNNPACK and cuts the graph in two delegates; one that infers
    it (-1) is taken.
    """
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in _NOTHING and not any(user.op == "output" for user in node.users):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif node.target in _RESHAPES:
            _infer_symbolic_size(node)
        elif node.target in STANDARD_FORMS:
            STANDARD_FORMS[node.target](node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _infer_symbolic_size(node: fx.Node) -> None:
    shape = node.meta["val"].shape
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    if sizes.count(-1) <= 1:
        node.target = _aten.reshape.default  # changed in place: the node may be an output, known by its name
        node.args = (node.args[0], sizes)
        node.kwargs = {}

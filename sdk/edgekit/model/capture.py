"""Capture: a float model becomes an exported program whose shapes keep their symbols."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.export import Dim, ExportedProgram, export

from edgekit.data.samples import Array, Samples
from edgekit.errors import CaptureError
from edgekit.model.layout import PlainLayout
from edgekit.model.program import Captured, Source
from edgekit.model.writes import without_writes
from edgekit.spec import TensorSpec

# torch picks a convolution backend by batch size while it traces, and that choice adds the guard `batch < 16` when the
# traced batch is smaller: the .pte then refuses larger batches although the program allows them. Seen in torch 2.13.
_TRACED_BATCH = 16

_aten = torch.ops.aten
_RESHAPES = {_aten.flatten.using_ints, _aten.view.default, _aten.reshape.default, _aten.unflatten.int}


def capture(source: Source, samples: Samples) -> Captured:
    """Export the model with its symbolic dimensions.

    Args:
        source: The float model.
        samples: Real inputs to trace with; the first rows are taken, repeated where there are too few.

    Raises:
        CaptureError: If ``torch.export`` refuses the model, or fixes a dimension that was declared symbolic.
    """
    shapes = shapes_of(source)
    example = tuple(_first_rows(samples.inputs[spec.name], _traced_rows(source, spec)) for spec in source.inputs)
    try:
        with warnings.catch_warnings(), PlainLayout():
            warnings.simplefilter("ignore")
            program = export(source.model, example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # the exporter raises many unrelated classes for what is one thing to a person
        reason = str(error).strip() or type(error).__name__
        raise CaptureError(
            f"torch.export cannot capture {source.name}: {reason}",
            hint="A dimension that the model fixes must stand as a number in [[inputs]].shape; control flow that "
            "depends on values needs torch.cond. torch.export.draft_export(model, example) names every place.",
        ) from error
    program = without_writes(program, source.name)
    _simplify(program)
    return Captured(source=source, program=program, example=example, dynamic_shapes=shapes)


def shapes_of(source: Source) -> tuple[dict[int, Any], ...]:
    """Return the symbolic dimensions of each input by axis, as ``torch.export`` takes them."""
    dims = {name: Dim(name, min=1, max=largest) for name, largest in source.dimensions.items()}
    return tuple(
        {axis: dims[size] for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in source.inputs
    )


def _traced_rows(source: Source, spec: TensorSpec) -> int:
    first = spec.shape[0]
    return first if isinstance(first, int) else min(_TRACED_BATCH, source.dimensions[first])


def _first_rows(array: Array, rows: int) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array[np.arange(rows) % len(array)]))


def _simplify(program: ExportedProgram) -> None:
    """Drop what does nothing in eval mode and write reshapes so that a delegate can take them.

    A reshape that names the symbolic batch is refused by XNNPACK and cuts the graph in two delegates; one that infers
    it (-1) is taken.
    """
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is _aten.dropout.default and not any(user.op == "output" for user in node.users):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif node.target in _RESHAPES:
            _infer_symbolic_size(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _infer_symbolic_size(node: fx.Node) -> None:
    shape = node.meta["val"].shape
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    if sizes.count(-1) <= 1:
        node.target = _aten.reshape.default  # changed in place: the node may be an output, known by its name
        node.args = (node.args[0], sizes)
        node.kwargs = {}

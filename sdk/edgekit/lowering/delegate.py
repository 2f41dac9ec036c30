"""Lower a quantized program to a .pte for a delegate of ExecuTorch's that takes the program as it is."""

import copy
import warnings
from dataclasses import replace

from executorch.exir import to_edge_transform_and_lower
from executorch.exir.backend.partitioner import Partitioner

from edgekit.errors import LowerError
from edgekit.lowering.left_out import left_out
from edgekit.lowering.pte import shares
from edgekit.lowering.written import artifact_of
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.narrow import for_device, with_batch
from edgekit.model.program import Quantized
from edgekit.spec import Scheme

_NOTE = "{file} takes one sample in each call: its delegate plans for fixed sizes."


def lower_with(quantized: Quantized, partitioner: Partitioner, title: str) -> Artifact:
    """Write the .pte, for one sample where the model takes any number; the quantized program is left as it was.

    Args:
        quantized: The program to lower.
        partitioner: Says what the delegate takes.
        title: What the delegate is called, for messages.

    Raises:
        LowerError: If ExecuTorch or the delegate refuses the program, or nothing of it was delegated.
    """
    captured = quantized.captured
    source, alone = captured.source, captured.source.batch is None and captured.any_batch
    program = for_device(quantized.program, captured)
    program = with_batch(program, source, 1) if alone else copy.deepcopy(program)
    static = quantized.scheme is not Scheme.FLOAT
    nodes = quantized.program.graph.nodes
    every = frozenset(graph.operation(node) for node in nodes if graph.is_compute(node))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the delegates' own code
            edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
            inside, outside = shares(edge)
            floats = graph.in_float(quantized.program.graph, every, quantized.float_layers) if static else {}
            left, places = left_out(quantized.program, floats, outside), tuple(map(graph.place, outside))
            executable = edge.to_executorch()
    except Exception as error:  # delegates raise many unrelated classes
        raise LowerError(
            f"ExecuTorch cannot lower {source.name} for {title}: {str(error).strip()[:600]}",
            hint="Leave this target out, or run again with --debug to see which operation it stops at.",
        ) from error
    if not inside:
        raise LowerError(f"Nothing of {source.name} was delegated to {title}.", hint="Leave this target out.")
    artifact = artifact_of(
        executable,
        quantized.scheme,
        delegated_fraction=inside / (inside + len(outside)),
        int8_fraction=graph.int8_fraction(quantized.program.graph, every) if static else 0.0,
        not_delegated=places,
        left_out=left,
        operations=inside + len(outside),
        batch=1 if alone else None,
    )
    return replace(artifact, notes=(_NOTE.format(file=artifact.file),)) if alone else artifact

"""Islands of float: what of a program computes in float between integers, by name."""

from edgekit.model import graph
from edgekit.model.program import Quantized


def float_islands(quantized: Quantized) -> tuple[str, ...]:
    """Return the operations of a static program that compute in float, each with its module and the reason.

    A chip made for integers computes them in half precision, or hands them to another processor.
    """
    nodes = quantized.program.graph.nodes
    every = frozenset(graph.operation(node) for node in nodes if graph.is_compute(node))
    return graph.in_float(quantized.program.graph, every, quantized.float_layers)

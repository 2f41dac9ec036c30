"""Islands of float: what of a program computes in float between integers, by name."""

from edgekit.model import graph
from edgekit.model.program import Quantized


def float_islands(quantized: Quantized) -> tuple[str, ...]:
    """Return the operations of a static program that compute in float, each with its module and the reason.

    A chip made for integers computes them in half precision, or hands them to another processor.
    """
    return graph.in_float(quantized.program.graph, _operations(quantized), quantized.float_layers)


def integer_fraction(quantized: Quantized) -> float:
    """Return the share of the operations of a static program that read and give integers."""
    return graph.int8_fraction(quantized.program.graph, _operations(quantized))


def _operations(quantized: Quantized) -> frozenset[str]:
    nodes = quantized.program.graph.nodes
    return frozenset(graph.operation(node) for node in nodes if graph.is_compute(node))

"""Islands of float: what of a program computes in float between integers, by name."""

from edgekit.lowering.left_out import left_out
from edgekit.model import graph
from edgekit.model.left_out import LeftOut
from edgekit.model.program import Quantized


def float_islands(quantized: Quantized) -> tuple[LeftOut, ...]:
    """Return the operations of a static program that compute in float, each with the reason and the cost.

    A chip made for integers computes them in half precision, or hands them to another processor.
    """
    floats = graph.in_float(quantized.program.graph, _operations(quantized), quantized.float_layers)
    return left_out(quantized.program, floats)


def integer_fraction(quantized: Quantized) -> float:
    """Return the share of the operations of a static program that read and give integers."""
    return graph.int8_fraction(quantized.program.graph, _operations(quantized))


def _operations(quantized: Quantized) -> frozenset[str]:
    nodes = quantized.program.graph.nodes
    return frozenset(graph.operation(node) for node in nodes if graph.is_compute(node))

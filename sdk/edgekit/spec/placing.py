"""Placing: which values of a network a chip wants rounded, as data."""

from edgekit.base.values import Spec


class Placing(Spec):
    """What is rounded beside the layers with weights.

    A processor computes in float what costs it nothing: gates, the first and the last layer, sums that nothing reads as
    integers. A chip made for integers sends each of these to another processor, or computes them in half precision.
    """

    everywhere: bool = False
    """Whether every value of floats is rounded: nothing computes in float."""
    floats: frozenset[str] = frozenset()
    """Operations that compute in float nevertheless, by the short names of ATen: the chip has no integers for them."""
    symmetric: bool = False
    """Whether the steps of activations lie evenly around zero."""


CPU_PLACING = Placing()
"""What a processor wants."""

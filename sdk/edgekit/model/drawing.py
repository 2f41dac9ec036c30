"""The network as a picture needs it: its operations, where each stands, and what it reads. Values only."""

from edgekit.base.values import Share
from edgekit.spec import Spec


class DrawnOperation(Spec):
    """One operation of the captured program."""

    operation: str
    """The operation, for instance ``conv2d``."""
    path: str
    """The module that it is in; empty if it is in none."""
    inputs: tuple[int, ...]
    """Which operations it reads, by their place in the list; none: it reads inputs of the model alone."""
    float_bytes: int
    """Bytes of its weights in float."""
    int8_bytes: int
    """Bytes that they take in int8, with their scales."""
    time_share: Share
    """Its share of the time of all operations: an estimate by multiply-adds and bytes moved, never a measurement."""


class Drawing(Spec):
    """``graph.json``: the captured program, without what moves data alone."""

    operations: tuple[DrawnOperation, ...]
    """In the order of running."""

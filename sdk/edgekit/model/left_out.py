"""Operations that an artifact computes outside of its delegate or in float: which, why, and what that costs.

Values only.
"""

from edgekit.base.values import Share
from edgekit.spec import Spec


class LeftOut(Spec):
    """An operation that no delegate takes, or that computes in float in a static int8 artifact."""

    operation: str
    """The operation, for instance ``hardswish``."""
    path: str
    """The module that it is in; empty if it is in none."""
    outside: bool
    """Whether it stays outside of the delegates."""
    in_float: bool
    """Whether it computes in float."""
    reason: str
    """Why."""
    float_bytes: int
    """Bytes of the weights that it keeps in float."""
    int8_bytes: int
    """Bytes that the same weights would take in int8, with their scales."""
    time_share: Share
    """Its share of the time of all operations: an estimate by multiply-adds and bytes moved, never a measurement."""

    @property
    def place(self) -> str:
        """The operation, and the module that it is in."""
        return f"{self.operation} ({self.path})" if self.path else self.operation

    @property
    def told(self) -> str:
        """The place, and the reason."""
        return f"{self.place}: {self.reason}"

    @property
    def extra_bytes(self) -> int:
        """What it adds to the file."""
        return self.float_bytes - self.int8_bytes

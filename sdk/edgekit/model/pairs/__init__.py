"""Complex numbers written as pairs of real ones, which is all that devices' runtimes have."""

from edgekit.model.pairs.fourier import constant_bytes
from edgekit.model.pairs.walk import without_complex

__all__ = ["constant_bytes", "without_complex"]

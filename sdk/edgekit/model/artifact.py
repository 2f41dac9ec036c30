"""An artifact: the bytes that a runtime on the device loads, and what is known about them."""

from dataclasses import dataclass
from functools import cached_property

from edgekit.base import digest
from edgekit.model.left_out import LeftOut
from edgekit.spec import Format, Scheme


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A .pte or .onnx file in memory."""

    format: Format
    data: bytes
    scheme: Scheme
    operators: tuple[str, ...]
    """Kernels that the runtime must carry, beside what delegates take; sorted."""
    delegates: tuple[str, ...]
    """Backends that the runtime must carry; sorted."""
    delegated_fraction: float
    """Share of the compute operations that delegates take."""
    int8_fraction: float
    """Share of the compute operations that compute with integers: inputs and outputs are quantized, or, dynamically,
    the inputs alone. The others compute in float."""
    not_delegated: tuple[str, ...]
    """Operations that stay outside, each with the module it came from."""
    left_out: tuple[LeftOut, ...] = ()
    """Operations outside of the delegates, and of static int8 those that compute in float: why, and the cost."""
    operations: int = 0
    """How many operations the file consists of, those in delegates among them."""
    planned_bytes: int | None = None
    """Memory that the file plans for the largest inputs; None where the runtime plans it."""

    batch: int | None = None
    """The only number of samples that a call takes, where the model itself takes any; None: as the model says."""
    notes: tuple[str, ...] = ()
    """What a reader of the report must know: operations that a delegate refuses, for instance."""

    reference: tuple[bytes, ...] = ()
    """What the delegates compute, in the language of a reference model that runs in the chip's place; it is in no
    bundle."""

    @property
    def file(self) -> str:
        """The file's name in a bundle."""
        return f"model.{self.format}"

    @cached_property
    def sha256(self) -> str:
        """Digest of the file."""
        return digest.of_bytes(self.data)

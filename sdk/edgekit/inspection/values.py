"""What inspections find: immutable values, one class for each kind of file. ``kind`` tells them apart in JSON."""

from dataclasses import dataclass
from typing import Literal

from edgekit.targets.runtimes.check import CompatibilityResult


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output."""

    name: str
    """Empty where the format keeps no names."""
    dtype: str
    shape: tuple[int | str, ...]
    """Sizes; a name stands for a symbolic dimension."""
    bound: bool = False
    """Whether the sizes are upper bounds, as a .pte stores them."""


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """One backend of a .pte: how many parts of the graph it takes, and the bytes of its programs."""

    backend: str
    count: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """How often something occurs."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of one element type."""

    dtype: str
    tensors: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A file of a bundle whose digest was compared with the manifest."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class PteFile:
    """An ExecuTorch program. The format holds no producer version and no tensor names; the manifest does."""

    kind: Literal["pte"] = "pte"
    path: str
    bytes: int
    sha256: str
    method: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    delegates: tuple[Delegate, ...]
    operators: tuple[Count, ...]
    """Kernel calls outside the delegates."""
    constant_bytes: int
    """Weights outside the delegates' programs; delegates may share them by name."""
    planned_memory_bytes: int
    """Memory planned for activations at the largest shapes."""


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """An ONNX model."""

    kind: Literal["onnx"] = "onnx"
    path: str
    bytes: int
    sha256: str
    ir_version: int
    opsets: tuple[Count, ...]
    """Operator sets: domain and version; the default domain is ``ai.onnx``."""
    producer: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Count, ...]
    quantize_nodes: int
    dequantize_nodes: int
    dynamic_quantize_nodes: int
    """Activations that are quantized when they are there."""
    weights: tuple[Weights, ...]


@dataclass(frozen=True, kw_only=True)
class TraceFile:
    """A recorded trace, for instance a baseline."""

    kind: Literal["trace"] = "trace"
    path: str
    bytes: int
    sha256: str
    program: str
    place: str
    kernels: str
    samples: int
    labels: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    versions: dict[str, str]
    provider: str | None = None
    """What computed on a device, as its runtime names it."""


@dataclass(frozen=True, kw_only=True)
class BundleFolder:
    """A bundle whose files are all there and unchanged."""

    kind: Literal["bundle"] = "bundle"
    path: str
    model: str
    target: str
    verdict: str
    baseline: str
    parameters: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: int
    files: tuple[Checked, ...]
    quantization: dict[str, str]
    """The scheme of each artifact, by file name."""
    producer: dict[str, str]
    runtimes: dict[str, str]
    compatibility: tuple[CompatibilityResult, ...] = ()
    """What the artifacts need that the runtimes lack, or may lack."""


Inspection = PteFile | OnnxFile | TraceFile | BundleFolder

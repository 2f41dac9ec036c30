"""What an artifact costs: bytes, latency, memory, and the time of its operations."""

from collections.abc import Sequence
from typing import Literal

from edgekit.base.values import Share
from edgekit.spec import Format, Spec


class Histogram(Spec):
    """Counts of values in bins of equal width."""

    lo: float
    """Lower end of the first bin."""
    hi: float
    """Upper end of the last bin."""
    counts: tuple[int, ...]
    """Values in each bin."""


class Latency(Spec):
    """Timed runs of one artifact with one sample, in milliseconds."""

    runs: int
    """Timed runs."""
    warm_up: int
    """Runs before them."""
    threads: int
    """Threads of the runtime; 0: as many as it takes by itself."""
    median_ms: float
    """50th percentile."""
    p90_ms: float
    """90th percentile."""
    p99_ms: float
    """99th percentile."""
    histogram: Histogram
    """All timed runs, in milliseconds; those that took more than four medians are counted in the last bin."""


class OperatorTime(Spec):
    """What one operation takes, as the runtime's own profiler says."""

    name: str
    """The operation as the runtime names it."""
    operator: str
    """Its kind, for instance ``QLinearConv``."""
    mean_ms: float
    """Mean over the faster half of the profiled runs, in milliseconds: the clock of some runtimes is too coarse for a
    median."""
    share: float
    """Share of the time of all operations."""
    layer: str | None = None
    """The layer of the model that it computes; null: it cannot be told."""


class KindTime(Spec):
    """What all operations of one kind take."""

    operator: str
    """The kind."""
    calls: int
    """Operations of the kind in a run."""
    mean_ms: float
    """Their time together, in milliseconds."""
    share: float
    """Share of the time of all operations."""


def kinds_of(operators: Sequence[OperatorTime]) -> tuple[KindTime, ...]:
    """Return the time by kind, what takes most first."""
    found: dict[str, list[OperatorTime]] = {}
    for one in operators:
        found.setdefault(one.operator, []).append(one)
    kinds = [
        KindTime(
            operator=kind,
            calls=len(ones),
            mean_ms=sum(one.mean_ms for one in ones),
            share=sum(one.share for one in ones),
        )
        for kind, ones in found.items()
    ]
    return tuple(sorted(kinds, key=lambda one: -one.mean_ms))


class Cost(Spec):
    """What one artifact costs on this host."""

    artifact: str
    """The artifact's file, with ``in native/`` in the native program; or ``float32 .onnx`` and the like for the model
    before quantization."""
    format: Format
    """Its format."""
    precision: Literal["quantized", "float32"]
    """Whether it is the bundle's artifact or the float model lowered in the same way, for comparison."""
    file_bytes: int
    """Size of the file."""
    load_ms: float
    """Time to load it, in milliseconds."""
    first_ms: float
    """The first inference after loading, in milliseconds."""
    latency: Latency
    """Later ones."""
    peak_memory_bytes: int
    """Growth of the resident memory of a fresh process from before loading to its peak; of the native program, all of
    its resident memory at its peak."""
    delegated_fraction: float
    """Share of the operations that delegates take."""
    operators: tuple[OperatorTime, ...]
    """Time by operation, in the order of running; empty if the runtime does not tell. Tracing costs time of its own, so
    these runs are not those of `latency`."""
    kinds: tuple[KindTime, ...] = ()
    """The same by kind of operation."""
    outside_share: Share | None = None
    """Measured share of that time which kernels outside of the delegates take; null: the runtime does not tell."""
    float_share: Share | None = None
    """Measured share of that time which kernels in float take; null: the runtime does not tell."""
    operators_note: str
    """Which profiler gave the times, or why there are none."""

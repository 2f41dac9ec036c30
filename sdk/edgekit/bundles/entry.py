"""One artifact of one bundle as a row among many: how good it is, and what it costs."""

from edgekit.spec import Spec


class Entry(Spec):
    """One file of one bundle."""

    path: str
    """The bundle, as it was given."""
    page: str | None
    """Where its own page is, as a link; null: it has none beside it."""
    model: str
    """The model's name."""
    target: str
    """The target's."""
    file: str
    """The artifact's file."""
    scheme: str
    """Its quantization scheme."""
    passed: bool
    """The bundle's verdict."""
    bytes: int
    """Size of the file."""
    float_bytes: int
    """Bytes of the float weights."""
    metric: str | None
    """What the task is measured by; null: decibels alone."""
    percent: bool
    """Whether that is a share."""
    value: float | None
    """Its value."""
    reference: float | None
    """The float model's; null: it has none."""
    sqnr_db: float | None
    """The least SQNR in total over the outputs; null: none differs, or they are integers."""
    delegated_fraction: float
    """Share of the compute operations that delegates take."""
    median_ms: float | None
    """Median latency with one sample where the bundle was profiled; null: not measured."""
    measured_on: str | None
    """The machine or the phone that measured it."""
    best_for_size: bool = False
    """Whether no other file is at least as good and smaller, or better and as small."""
    best_for_latency: bool = False
    """The same of the latency."""
    versions: dict[str, str]
    """Versions of the libraries that made the bundle."""

"""Points of the curve of drift against cost, what is asked of them, and which no other one beats. Values only."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.base.sizes import bytes_of
from edgekit.drift.metrics import Metrics
from edgekit.errors import OverBudgetError, ProjectError
from edgekit.spec import STATIC_INT8, Format, Scheme, Spec

_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(.+?)\s*\Z")


class Point(Spec):
    """A way to quantize a model that was lowered, run and measured."""

    format: Format
    """The artifact's format."""
    scheme: Scheme
    """How it is quantized."""
    float_layers: tuple[str, ...]
    """Paths of the layers that stay float."""
    bytes: int
    """Bytes of the artifact."""
    predicted_db: float | None
    """SQNR that the scores of its layers add up to; null where none were added."""
    metrics: dict[str, Metrics]
    """Drift of the artifact's answers from the float model's, by output."""
    latency_ms: float | None = None
    """Median time for one sample on this host with one thread; null where it was not measured."""

    @property
    def sqnr_db(self) -> float:
        """The least SQNR over the outputs; infinite where all are identical."""
        ratios = [one.sqnr_db for one in self.metrics.values() if one.sqnr_db is not None]
        return min(ratios, default=math.inf)

    @property
    def paste(self) -> tuple[str, ...]:
        """The lines for the project file that build it."""
        scheme = Scheme.INT8_MIXED if self.float_layers and self.scheme in STATIC_INT8 else self.scheme
        kept = (f"float_layers = {json.dumps(self.float_layers)}",) if self.float_layers else ()
        return f'formats = ["{self.format}"]', "[quantize]", f'scheme = "{scheme}"', *kept


class Curve(Spec):
    """What a search found."""

    model: str
    """The model's name."""
    target: str
    """The target's."""
    samples: int
    """Evaluation samples that drift was measured on."""
    tried: int
    """Points that were lowered, run and measured."""
    points: tuple[Point, ...]
    """Those of them that no other one of their format beats in both bytes and drift, the smallest first."""
    dropped: tuple[str, ...]
    """What could not be built, and why."""
    scores: dict[str, float]
    """What each layer alone costs in int8: the squared error of the answers as a share of their square."""


def front(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that no other one of the same format beats in bytes and SQNR, the smallest first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda one: (one.format, one.bytes, -one.sqnr_db)):
        best = max((one.sqnr_db for one in found if one.format is point.format), default=-math.inf)
        if point.sqnr_db > best:
            found.append(point)
    return tuple(sorted(found, key=lambda one: (one.bytes, one.format)))


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A limit that a point must keep."""

    name: str
    most: bool
    """Whether the limit is the largest value, and not the least."""
    limit: float

    def keeps(self, point: Point) -> bool:
        """Whether a point keeps it; what was not measured keeps nothing."""
        value = _VALUES[self.name][1](point)
        return value is not None and (value <= self.limit if self.most else value >= self.limit)


def condition(text: str) -> Condition:
    """Read a condition such as ``bytes<=2MB``.

    Raises:
        ProjectError: If it is none.
    """
    found = _CONDITION.match(text)
    names = ", ".join(f"{name}{sign}" for name, (sign, _) in _VALUES.items())
    if found is None or found[1] not in _VALUES or _VALUES[found[1]][0] != found[2]:
        raise ProjectError(f"{text!r} is no condition.", hint=f"There are {names}: --at 'bytes<=2MB'.")
    name, sign, given = found.groups()
    size = bytes_of(given) if name == "bytes" else None
    try:
        limit = float(given) if size is None else float(size)
    except ValueError as error:
        raise ProjectError(f"{text!r}: {given!r} is no number.", hint="--at 'accuracy_drop<=0.005'") from error
    return Condition(name=name, most=sign == "<=", limit=limit)


def at(points: Sequence[Point], conditions: Sequence[Condition]) -> Point:
    """Return the point that is asked for: where drift is limited the smallest, else the one that drifts least.

    Raises:
        OverBudgetError: If no point keeps all conditions.
    """
    fitting = [point for point in points if all(one.keeps(point) for one in conditions)]
    if not fitting:
        raise OverBudgetError(
            "No point of the curve keeps what is asked for.",
            hint="The table shows all that there is: ask for less, or train: edgekit finetune.",
        )
    if all(one.name in _COSTS for one in conditions):
        return max(fitting, key=lambda one: (one.sqnr_db, -one.bytes))
    return min(fitting, key=lambda one: (one.bytes, -one.sqnr_db))


def _worst(name: str, sign: int) -> Callable[[Point], float | None]:
    """Return what reads the worst value of a metric over the outputs that have it."""

    def read(point: Point) -> float | None:
        values = [getattr(one, name) for one in point.metrics.values()]
        known = [sign * value for value in values if value is not None]
        return sign * max(known) if known else None

    return read


def _accuracy_drop(point: Point) -> float | None:
    drops = [
        one.reference_accuracy - one.accuracy
        for one in point.metrics.values()
        if one.accuracy is not None and one.reference_accuracy is not None
    ]
    return max(drops, default=None)


_COSTS = ("bytes", "latency_ms")
_VALUES: dict[str, tuple[str, Callable[[Point], float | None]]] = {
    "bytes": ("<=", lambda point: point.bytes),
    "latency_ms": ("<=", lambda point: point.latency_ms),
    "sqnr_db": (">=", lambda point: point.sqnr_db),
    "accuracy_drop": ("<=", _accuracy_drop),
    "kl_divergence": ("<=", _worst("kl_divergence", 1)),
    "top1_agreement": (">=", _worst("top1_agreement", -1)),
}

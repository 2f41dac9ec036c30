"""The metrics of a drift table: title and form of each field of `Metrics`; and words that stand beside figures."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.drift.metrics import Metrics
from edgekit.render.page.forms import Form


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric."""

    title: str
    """What a person reads."""
    name: str
    """The field of `Metrics`."""
    form: Form
    """How its values look."""
    of: tuple[str, ...]
    """The metrics that its limits are for."""

    @property
    def reference(self) -> str | None:
        """The field with the reference's own value, if there is one."""
        name = f"reference_{self.name}"
        return name if name in Metrics.model_fields else None


def _column(title: str, name: str, form: Form) -> Column:
    return Column(title=title, name=name, form=form, of=(name, f"{name}_drop", f"{name}_ratio"))


COLUMNS = (
    _column("SQNR dB", "sqnr_db", "db"),
    _column("equal", "agreement", "percent"),
    _column("accuracy", "accuracy", "percent"),
    _column("top-1 agreement", "top1_agreement", "percent"),
    _column("top-5 agreement", "top5_agreement", "percent"),
    _column("mean IoU", "mean_iou", "percent"),
    _column("IoU agreement", "iou_agreement", "percent"),
    _column("pixel agreement", "pixel_agreement", "percent"),
    _column("mean AP", "mean_ap", "percent"),
    _column("mAP agreement", "map_agreement", "percent"),
    _column("neighbours", "neighbour_agreement", "percent"),
    _column("R2", "r2", "small"),
    _column("R2 agreement", "r2_agreement", "small"),
    _column("MAE", "mae", "small"),
    _column("KL nats", "kl_divergence", "small"),
    _column("cosine", "cosine", "cosine"),
    _column("max abs error", "max_abs_error", "small"),
    _column("mean abs error", "mean_abs_error", "small"),
    _column("NaN or infinite", "non_finite", "whole"),
)


def columns_of(metrics: Iterable[Metrics]) -> tuple[Column, ...]:
    """Return the columns that have something to show in any of the rows."""
    rows = tuple(metrics)
    return tuple(column for column in COLUMNS if any(_shown(row, column.name) for row in rows))


def own_of(metrics: Iterable[Metrics]) -> tuple[str, ...]:
    """Return the names of the project's own metrics."""
    return tuple(dict.fromkeys(name for row in metrics for name in row.custom))


def computed_on(*places: str) -> str:
    """Return ``CPU``, ``GPU`` or both, for descriptions of where something was computed."""
    kinds = ("GPU" if re.search(r"\(cuda\b", place) else "CPU" for place in places)
    return ", ".join(sorted(set(kinds), reverse=True))


def _shown(metrics: Metrics, name: str) -> bool:
    value = getattr(metrics, name)
    return value > 0 if name == "non_finite" else value is not None or (name == "sqnr_db" and metrics.agreement is None)

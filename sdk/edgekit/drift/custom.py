"""A project's own metric: a Python function of reference, candidate and true values, named in ``[[outputs]]``."""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.rows import Array, Rows, chunks, whole
from edgekit.drift.metrics import Metrics
from edgekit.drift.statistics import Counts, OfCounts
from edgekit.errors import ProjectError
from edgekit.spec import Limits
from edgekit.spec.project import OpenProject
from edgekit.spec.schema import did_you_mean
from edgekit.spec.usercode import contained, importable, load_function, place


@dataclass(frozen=True, kw_only=True)
class OwnMetric:
    """A function ``(reference, candidate, targets) -> number or numbers by name``.

    The arrays have shape (samples, ...), as the programs gave them; targets are None where the evaluation data has no
    true values for the output. A single number is named after the function. It is called once per draw for the
    confidence interval of a number that has a limit. Large arrays are maps of files: what is read of them is read then.
    """

    name: str
    file: Path
    function: Callable[[Array, Array, Array | None], Any]

    def __call__(self, reference: Array, candidate: Array, targets: Array | None) -> dict[str, float]:
        """Return the numbers by name; they may be NaN.

        Raises:
            ProjectError: If the function fails, or returns something else.
        """
        try:
            with contained():
                result = self.function(reference, candidate, targets)
        except Exception as error:  # anything may be raised by a person's code
            raise ProjectError(f"{self.name} in {place(self.file, error)}", hint="Correct the metric.") from error
        found = dict(result) if isinstance(result, Mapping) else {self.name: result}
        for name, value in found.items():
            number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
            if not isinstance(name, str) or not name.isidentifier() or not number:
                raise ProjectError(
                    f"{self.name} in {self.file} returns {name!r}: {value!r}, which is no number with a name.",
                    hint="Return a float, or a dict of floats by name.",
                )
            if (
                f"min_{name}" in Limits.model_fields
                or f"max_{name}" in Limits.model_fields
                or (name in Metrics.model_fields)
            ):
                raise ProjectError(
                    f"{self.name} in {self.file} returns {name}, which is the name of a built-in metric.",
                    hint="Call it something else.",
                )
        return {name: float(value) for name, value in found.items()}


OwnMetrics = Mapping[str, OwnMetric]


def load(project: OpenProject) -> OwnMetrics:
    """Import the metrics that a project names, by output.

    Raises:
        ProjectError: If a file fails, or has no such function.
    """
    found = {}
    for index, (spec, source) in enumerate(zip(project.spec.outputs, project.metrics, strict=True)):
        if source is None:
            continue
        file, function = source
        with importable(file.parent):
            loaded = load_function(file, function, key=f"outputs[{index}].metric", error=ProjectError)
        found[spec.name] = OwnMetric(name=function, file=file, function=loaded)
    return found


def statistics_of(metric: OwnMetric, reference: Rows, candidate: Rows, targets: Rows | None) -> dict[str, OfCounts]:
    """Return what a metric measures, by name.

    Raises:
        ProjectError: If it fails, or returns a value that is not finite for a candidate whose values all are.
    """
    found = whole(reference), whole(candidate), None if targets is None else whole(targets)
    once = metric(*found)
    faults = [name for name, value in once.items() if not math.isfinite(value)]
    if faults and all(np.isfinite(part).all() for _, part in chunks(candidate)):
        raise ProjectError(
            f"{metric.name} in {metric.file} returns {once[faults[0]]} for {faults[0]}.",
            hint="A metric must be a finite number; return a large or small one for the worst case.",
        )
    # A candidate with NaN is over every budget already, and what the metric says of it tells nothing more.
    return {name: _drawn(metric, name, *found) for name in once if name not in faults}


def _drawn(metric: OwnMetric, name: str, reference: Array, candidate: Array, targets: Array | None) -> OfCounts:
    def value(counts: Counts) -> float:
        rows = np.repeat(np.arange(len(counts)), counts)
        drawn = metric(reference[rows], candidate[rows], None if targets is None else targets[rows])
        with contextlib.suppress(KeyError):
            if math.isfinite(drawn[name]):
                return drawn[name]
        return math.nan

    return OfCounts(value=value)


def check_names(limits: Limits, found: frozenset[str]) -> None:
    """Make sure that every limit for a project's own metric has one.

    Args:
        limits: The budget of a leg.
        found: The names that the metrics of all outputs returned.

    Raises:
        ProjectError: With the names that nothing returned.
    """
    if missing := [name for name in limits.custom if name not in found]:
        faults = "".join(f"\n  - {name}{did_you_mean(name, found)}" for name in missing)
        raise ProjectError(
            f"The budget limits numbers that no metric of the project returns:{faults}",
            hint='A metric is named in [[outputs]]: metric = "my.py:function".',
        )

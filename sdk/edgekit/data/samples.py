"""Samples: named input arrays with as many rows as there are samples, and the right answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.base import digest
from edgekit.errors import DataError
from edgekit.spec import Dimension, TensorSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a model is fed: ``inputs[name]`` has shape (samples, ...); ``labels`` int64 of shape (samples,).

    ``targets[output]`` are true values of shape (samples, ...), by the name of an output; see ``truth``.
    """

    inputs: Mapping[str, Array]
    labels: npt.NDArray[np.int64] | None = None
    targets: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay the inputs out in the order of their dimensions: a view in another order is the same samples."""
        object.__setattr__(self, "inputs", {name: np.ascontiguousarray(x) for name, x in self.inputs.items()})

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def digest(self) -> str:
        """Digest of inputs, labels and true values."""
        labels = {} if self.labels is None else {"(labels)": self.labels}
        targets = {f"(target) {name}": array for name, array in self.targets.items()}
        return digest.of_arrays({**self.inputs, **labels, **targets})

    def rows(self, rows: slice | npt.NDArray[np.int64]) -> "Samples":
        """Return some rows: a view of a slice, a copy of those at given places."""
        return Samples(
            inputs={name: array[rows] for name, array in self.inputs.items()},
            labels=None if self.labels is None else self.labels[rows],
            targets={name: array[rows] for name, array in self.targets.items()},
        )

    def batches(self, size: int) -> Iterator["Samples"]:
        """Yield the samples in order, ``size`` at a time; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self.rows(slice(start, start + size))

    def spread(self, count: int) -> "Samples":
        """Return so many of the samples, evenly spread; all of them if there are no more."""
        return self if count >= len(self) else self.rows(np.arange(count, dtype=np.int64) * len(self) // count)

    def filled_up(self, size: int) -> "Samples":
        """Return the samples, and as many of the first ones again as make their number a multiple of ``size``."""
        missing = -len(self) % size
        return self.rows(np.arange(len(self) + missing) % len(self)) if missing else self


def check_fit(
    samples: Samples,
    inputs: tuple[TensorSpec, ...],
    *,
    what: str,
    dimensions: Mapping[str, Dimension] | None = None,
) -> None:
    """Check names, dtypes, shapes and values against the inputs of a model.

    Args:
        samples: The samples.
        inputs: What the model takes; a symbolic first dimension is the batch.
        what: What the samples are, for messages ("calibration data").
        dimensions: The sizes that the other dimensions may have.

    Raises:
        DataError: With all faults, one a line.
    """
    faults = []
    if missing := [spec.name for spec in inputs if spec.name not in samples.inputs]:
        faults.append(f"no array named {', '.join(missing)} (found: {', '.join(samples.inputs) or 'none'})")
    if len({array.shape[:1] for array in samples.inputs.values()}) > 1:
        faults.append("the arrays have different numbers of rows")
    for spec in inputs:
        if spec.name in samples.inputs:
            faults += _array_faults(samples.inputs[spec.name], spec)
            faults += _size_faults(samples.inputs[spec.name], spec, dimensions or {})
    if samples.labels is not None and not faults and len(samples.labels) != len(samples):
        faults.append(f"{len(samples.labels)} labels for {len(samples)} samples")
    if faults:
        raise DataError(
            f"The {what} does not fit the model:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="Arrays are named after the model's inputs and have one row a sample; see docs/data.md.",
        )


def _size_faults(array: Array, spec: TensorSpec, dimensions: Mapping[str, Dimension]) -> list[str]:
    faults = []
    for name, size in list(zip(spec.shape, array.shape, strict=False))[1:]:
        allowed = dimensions.get(name) if isinstance(name, str) else None
        if allowed is not None and allowed.nearest(size) != size:
            steps = f" in steps of {allowed.multiple}" if allowed.multiple > 1 else ""
            faults.append(f"{spec.name} has a {name} of {size}; it may be {allowed.least} to {allowed.max}{steps}")
    return faults


def _array_faults(array: Array, spec: TensorSpec) -> list[str]:
    faults = []
    if array.dtype.name != spec.dtype:
        faults.append(f"{spec.name} is {array.dtype.name}, the model takes {spec.dtype}")
    sizes = zip(array.shape[1:], spec.shape[1:], strict=False)
    if array.ndim != len(spec.shape) or any(isinstance(wanted, int) and wanted != size for size, wanted in sizes):
        faults.append(f"{spec.name} has shape {array.shape}, the model takes {spec.shape}")
    if array.size == 0:
        faults.append(f"{spec.name} is empty")
    elif np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        faults.append(f"{spec.name} contains NaN or infinity")
    return faults

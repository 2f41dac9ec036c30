"""Samples: named inputs with as many rows as there are samples, and the right answers.

Inputs and true values are arrays, or rows that are read when they are asked for. One pass reads them all, for their
digest and for what is no number; from then on they are read batch by batch.
"""

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from edgekit.base import digest
from edgekit.base.ahead import ahead
from edgekit.data.rows import Array, Integers, Lazy, Rows, chunks, in_memory, some
from edgekit.errors import DataError
from edgekit.spec import Dimension, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a model is fed: ``inputs[name]`` has shape (samples, ...); ``labels`` int64 of shape (samples,).

    ``targets[output]`` are true values of shape (samples, ...), by the name of an output; see ``truth``.
    """

    inputs: Mapping[str, Rows]
    labels: npt.NDArray[np.int64] | None = None
    targets: Mapping[str, Rows] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def digest(self) -> str:
        """Digest of inputs, labels and true values; a view in another order of dimensions has the same."""
        return self._read_once.digest

    @property
    def not_finite(self) -> Mapping[str, int]:
        """The first row with NaN or infinity, by the name of each input that has one."""
        return self._read_once.not_finite

    @property
    def contents(self) -> list[bytes]:
        """A digest of each sample's inputs, 16 bytes: equal samples have equal ones."""
        return self._read_once.contents

    @property
    def constant(self) -> Mapping[str, float]:
        """The value of each input that holds one value alone."""
        return self._read_once.constant

    @functools.cached_property
    def _read_once(self) -> "_Reading":
        bad: dict[str, int] = {}
        contents = [b""] * len(self)
        ends: dict[str, tuple[float, float]] = {}

        def parts(name: str, source: Rows) -> Iterator[Array]:
            floats = name in self.inputs and np.issubdtype(source.dtype, np.floating)
            for rows, part in chunks(source):
                if floats and name not in bad and not (finite := np.isfinite(part)).all():
                    good = finite.reshape(len(part), -1).all(axis=1)
                    bad[name] = rows.start + int(np.argmin(good))
                if name in self.inputs:
                    _add_contents(contents, rows.start, part)
                    least, most = ends.get(name, (np.inf, -np.inf))
                    if least >= most and part.size:  # one value alone so far
                        ends[name] = min(least, float(part.min())), max(most, float(part.max()))
                yield part

        labels: dict[str, Rows] = {} if self.labels is None else {"(labels)": self.labels}
        targets = {f"(target) {name}": source for name, source in self.targets.items()}
        named = {**self.inputs, **labels, **targets}
        kinds = {name: (source.dtype, source.shape) for name, source in named.items()}
        found = digest.of_parts({name: (*kinds[name], parts(name, source)) for name, source in named.items()})
        constant = {name: least for name, (least, most) in ends.items() if least == most}
        return _Reading(digest=found, not_finite=bad, contents=contents, constant=constant)

    def array(self, name: str) -> Array:
        """Return an input as an array in memory."""
        return np.ascontiguousarray(self.inputs[name])

    def rows(self, rows: slice | Integers) -> "Samples":
        """Return some rows, which are not read: of arrays a view of a slice, a copy of those at given places."""
        return Samples(
            inputs={name: some(source, rows) for name, source in self.inputs.items()},
            labels=None if self.labels is None else self.labels[rows],
            targets={name: some(source, rows) for name, source in self.targets.items()},
        )

    def in_memory(self) -> "Samples":
        """Return the same as arrays of their own, which who has them may write to."""
        return Samples(
            inputs={name: in_memory(source) for name, source in self.inputs.items()},
            labels=self.labels,
            targets={name: in_memory(source) for name, source in self.targets.items()},
        )

    def spread(self, count: int) -> "Samples":
        """Return so many of the samples, evenly spread; all of them if there are no more."""
        return self if count >= len(self) else self.rows(np.arange(count, dtype=np.int64) * len(self) // count)

    def first(self, size: int, *, multiple: int = 1) -> "Samples":
        """Return the first batch alone, see `batches`."""
        return self._batch(0, size, multiple)

    def batches(self, size: int, *, multiple: int = 1) -> Iterator["Samples"]:
        """Yield the samples in order, ``size`` at a time, the inputs as arrays of their own in memory.

        Args:
            size: Samples of a batch; the last may be smaller.
            multiple: The last one is filled up with the first samples again until their number is a multiple of this.
        """
        starts = range(0, self._filled(multiple), size)
        read = functools.partial(self._batch, size=size, multiple=multiple)
        if any(isinstance(source, Lazy) and source.costly for source in self.inputs.values()):
            with contextlib.closing(ahead(read, starts)) as parts:
                yield from parts
        else:
            yield from map(read, starts)

    def _batch(self, start: int, size: int, multiple: int) -> "Samples":
        count, end = len(self), min(start + size, self._filled(multiple))
        part = self.rows(slice(start, end) if end <= count else np.arange(start, end) % count)
        return replace(part, inputs={name: in_memory(source) for name, source in part.inputs.items()})

    def _filled(self, multiple: int) -> int:
        return -(-len(self) // multiple) * multiple


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What one pass over all samples finds."""

    digest: str
    not_finite: dict[str, int]
    contents: list[bytes]
    constant: dict[str, float]


def _add_contents(contents: list[bytes], start: int, part: Array) -> None:
    for place, row in zip(range(start, len(contents)), part, strict=False):
        data = np.ascontiguousarray(row)
        contents[place] = hashlib.blake2b(contents[place] + data.tobytes(), digest_size=16).digest()


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
    if not faults:  # else there is enough to say without reading everything
        bad = samples.not_finite
        faults += [f"{name} contains NaN or infinity, first in row {row}" for name, row in bad.items()]
    if faults:
        raise DataError(
            f"The {what} does not fit the model:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="Arrays are named after the model's inputs and have one row a sample; see docs/data.md.",
        )


def _size_faults(array: Rows, spec: TensorSpec, dimensions: Mapping[str, Dimension]) -> list[str]:
    faults = []
    for name, size in list(zip(spec.shape, array.shape, strict=False))[1:]:
        allowed = dimensions.get(name) if isinstance(name, str) else None
        if allowed is not None and allowed.nearest(size) != size:
            steps = f" in steps of {allowed.multiple}" if allowed.multiple > 1 else ""
            faults.append(f"{spec.name} has a {name} of {size}; it may be {allowed.least} to {allowed.max}{steps}")
    return faults


def _array_faults(array: Rows, spec: TensorSpec) -> list[str]:
    faults = []
    if array.dtype.name != spec.dtype:
        faults.append(f"{spec.name} is {array.dtype.name}, the model takes {spec.dtype}")
    sizes = zip(array.shape[1:], spec.shape[1:], strict=False)
    if array.ndim != len(spec.shape) or any(isinstance(wanted, int) and wanted != size for size, wanted in sizes):
        faults.append(f"{spec.name} has shape {array.shape}, the model takes {spec.shape}")
    if array.size == 0:
        faults.append(f"{spec.name} is empty")
    return faults

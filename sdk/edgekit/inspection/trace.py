"""Looks into a trace."""

from collections.abc import Mapping
from pathlib import Path

from edgekit.base import digest
from edgekit.data import trace
from edgekit.data.rows import Rows
from edgekit.inspection.values import Tensor, TraceFile


def inspect(path: Path) -> TraceFile:
    """Return what is in a trace.

    Raises:
        BundleError: If it is damaged.
    """
    recorded = trace.load(path)
    return TraceFile(
        path=str(path),
        bytes=path.stat().st_size,
        sha256=digest.of_file(path),
        program=recorded.origin.program,
        place=recorded.origin.place,
        kernels=recorded.origin.kernels,
        provider=recorded.origin.provider,
        samples=len(recorded),
        labels=recorded.samples.labels is not None,
        inputs=_tensors(recorded.samples.inputs),
        outputs=_tensors(recorded.outputs),
        versions=dict(recorded.origin.versions),
    )


def _tensors(arrays: Mapping[str, Rows]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=name, dtype=array.dtype.name, shape=array.shape) for name, array in arrays.items())

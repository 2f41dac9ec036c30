"""Golden vectors: a few inputs with the outputs to expect, so that a device can test itself."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.base import digest
from edgekit.bundles.manifest import Golden, GoldenOutput, GoldenTensor, Manifest
from edgekit.data.rows import Array, Rows, chunks
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace, precision
from edgekit.drift.metrics import is_counted
from edgekit.errors import BundleError
from edgekit.spec import Scheme

_COUNT = 5
# A device that computes the artifact as the host did may differ by float rounding that tips a few steps of int8.
_STEPS = 4 / 255
# The float reference is further away: as far as the artifact was at worst over the evaluation samples, and a bit.
_MARGIN = 1.25


def golden_vectors(
    reference: Trace, artifacts: Mapping[str, Trace], amounts: Collection[str] = ()
) -> tuple[tuple[Golden, ...], dict[str, bytes]]:
    """Choose samples spread over the evaluation data and write them out with every output.

    Args:
        reference: The baseline.
        artifacts: The host's trace of each artifact, by file name.
        amounts: Names of the outputs that are near where they are close, though they may be integers.

    Returns:
        The entries for the manifest, and the files by path within the bundle: raw little-endian values.
    """
    files: dict[str, bytes] = {}
    entries = []
    worst = {
        name: max(_furthest(trace.outputs[name], expected) for trace in artifacts.values())
        for name, expected in reference.outputs.items()
    }
    allowed = {
        (file, name): _allowed(values, is_amount=name in amounts)
        for file, trace in artifacts.items()
        for name, values in trace.outputs.items()
    }
    count = min(_COUNT, len(reference))
    for number, row in enumerate(range(0, count * (len(reference) // count), len(reference) // count)):
        one, labels = slice(row, row + 1), reference.samples.labels
        outputs = []
        for name, expected in sorted(reference.outputs.items()):
            tensor = _store(files, f"golden/{number}.{name}.reference.bin", name, expected[one])
            outputs.append(GoldenOutput(**tensor.model_dump(), artifact=None, max_abs_error=worst[name] * _MARGIN))
        for file, trace in sorted(artifacts.items()):
            for name, values in sorted(trace.outputs.items()):
                tensor = _store(files, f"golden/{number}.{name}.{file}.bin", name, values[one])
                outputs.append(GoldenOutput(**tensor.model_dump(), artifact=file, max_abs_error=allowed[file, name]))
        entries.append(
            Golden(
                label=None if labels is None else int(labels[row]),
                inputs=tuple(
                    _store(files, f"golden/{number}.{name}.bin", name, array[one])
                    for name, array in sorted(reference.samples.inputs.items())
                ),
                outputs=tuple(outputs),
            )
        )
    return tuple(entries), files


def _furthest(values: Rows, expected: Rows) -> float:
    parts = ((part.astype(np.float64), expected[rows].astype(np.float64)) for rows, part in chunks(values))
    return float(np.max([np.abs(one - other).max() for one, other in parts]))  # NaN if there is one


def _allowed(values: Rows, *, is_amount: bool) -> float:
    """Return how far a device may be off: integers are the same or are not, amounts may be a step off at least."""
    if is_counted(values) and not is_amount:
        return 0.0
    return max(_extent(values) * _STEPS, 1.0 if is_counted(values) else 0.0)


def _extent(values: Rows) -> float:
    ends = np.array([(part.max(), part.min()) for _, part in chunks(values)])
    return float(ends[:, 0].max() - ends[:, 1].min())


def _store(files: dict[str, bytes], path: str, name: str, row: Array) -> GoldenTensor:
    values = np.ascontiguousarray(row, dtype=row.dtype.newbyteorder("<"))
    files[path] = values.tobytes()
    return GoldenTensor.model_validate(
        {
            "name": name,
            "file": path,
            "sha256": digest.of_bytes(files[path]),
            "dtype": row.dtype.name,
            "shape": values.shape,
        }
    )


@dataclass(frozen=True, kw_only=True)
class GoldenTraces:
    """The golden vectors of a bundle as traces over the same samples, and how far a right answer may be from them."""

    reference: Trace
    """The float reference."""
    artifacts: Mapping[str, Trace]
    """The host's run of each artifact, by file name."""
    tolerances: Mapping[tuple[str | None, str], tuple[float, ...]]
    """For each artifact (None: the reference) and output, the largest right error of each sample."""


def read(folder: Path, manifest: Manifest) -> GoldenTraces:
    """Read the golden vectors of a bundle whose files are as its manifest says.

    Raises:
        BundleError: If there are none, or they do not fit each other.
    """
    try:
        return _read(folder, manifest)
    except (KeyError, ValueError, TypeError, OverflowError, OSError) as error:  # they do not fit each other
        raise BundleError(
            f"The golden vectors of {folder} do not fit each other: {error}", hint="Build the bundle again."
        ) from error


def _read(folder: Path, manifest: Manifest) -> GoldenTraces:
    rows = [_Row(folder, golden) for golden in manifest.golden]
    if not rows or any(row.keys != rows[0].keys for row in rows):
        raise BundleError(f"{folder} has no golden inputs, or not all of them for each.", hint="Build it again.")
    labels = [golden.label for golden in manifest.golden]
    samples = Samples(
        inputs={name: np.concatenate([row.inputs[name] for row in rows]) for name in rows[0].inputs},
        labels=None if None in labels else np.array(labels, dtype=np.int64),
    )
    names = {name: None for _, name in rows[0].outputs}
    traces = {
        owner: Trace(
            samples=samples,
            outputs={
                name: np.concatenate([row.outputs[owner, name] for row in rows])
                for name in names
                if (owner, name) in rows[0].outputs
            },
            origin=_origin(manifest, owner),
        )
        for owner in (None, *(info.file for info in manifest.artifacts))
    }
    tolerances = {key: tuple(row.tolerances[key] for row in rows) for key in rows[0].tolerances}
    artifacts = {owner: trace for owner, trace in traces.items() if owner is not None}
    return GoldenTraces(reference=traces[None], artifacts=artifacts, tolerances=tolerances)


class _Row:
    """One golden input with its outputs, read."""

    def __init__(self, folder: Path, golden: Golden) -> None:
        self.inputs = {tensor.name: _load(folder, tensor) for tensor in golden.inputs}
        self.outputs = {(tensor.artifact, tensor.name): _load(folder, tensor) for tensor in golden.outputs}
        self.tolerances = {(tensor.artifact, tensor.name): tensor.max_abs_error for tensor in golden.outputs}

    @property
    def keys(self) -> tuple[set[str], set[tuple[str | None, str]]]:
        return set(self.inputs), set(self.outputs)


def _load(folder: Path, tensor: GoldenTensor) -> Array:
    dtype, data = np.dtype(tensor.dtype), (folder / tensor.file).read_bytes()
    try:
        values = np.frombuffer(data, dtype=dtype.newbyteorder("<")).reshape(tensor.shape)
    except ValueError as error:
        raise BundleError(
            f"{folder / tensor.file} has {len(data)} bytes, not {tensor.dtype} of shape {tensor.shape}.",
            hint="Build the bundle again.",
        ) from error
    return values.astype(dtype, copy=False)


def _origin(manifest: Manifest, artifact: str | None) -> Origin:
    """Return what is known of where a golden output was computed; the words for it stand in the manifest's drift."""
    scheme = next((info.quantization for info in manifest.artifacts if info.file == artifact), Scheme.FLOAT)
    return Origin(
        program="float" if artifact is None else "artifact",
        device="cpu",
        device_name=f"golden outputs of {artifact or 'the reference'}",
        dtype=precision(scheme),
        kernels="as the build's",
        versions={},
        model=manifest.model.weights_sha256,
    )

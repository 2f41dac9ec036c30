"""Golden vectors: a few inputs with the outputs to expect, so that a device can test itself."""

from collections.abc import Mapping

import numpy as np

from edgekit import digest
from edgekit.manifest import Golden, GoldenOutput, GoldenTensor
from edgekit.samples import Array
from edgekit.trace import Trace

_COUNT = 5
# A device that computes the artifact as the host did may differ by float rounding that tips a few steps of int8.
_STEPS = 4 / 255
# The float reference is further away: as far as the artifact was at worst over the evaluation samples, and a bit.
_MARGIN = 1.25


def golden_vectors(reference: Trace, artifacts: Mapping[str, Trace]) -> tuple[tuple[Golden, ...], dict[str, bytes]]:
    """Choose samples spread over the evaluation data and write them out with every output.

    Args:
        reference: The baseline.
        artifacts: The host's trace of each artifact, by file name.

    Returns:
        The entries for the manifest, and the files by path within the bundle: raw little-endian values.
    """
    files: dict[str, bytes] = {}
    entries = []
    count = min(_COUNT, len(reference))
    for number, row in enumerate(range(0, count * (len(reference) // count), len(reference) // count)):
        labels = reference.samples.labels
        outputs = []
        for name, expected in sorted(reference.outputs.items()):
            worst = max(float(np.abs(trace.outputs[name] - expected).max()) for trace in artifacts.values())
            tensor = _store(files, f"golden/{number}.{name}.reference.bin", name, expected[row])
            outputs.append(GoldenOutput(**tensor.model_dump(), artifact=None, max_abs_error=worst * _MARGIN))
        for file, trace in sorted(artifacts.items()):
            for name, values in sorted(trace.outputs.items()):
                allowed = float(values.max() - values.min()) * _STEPS
                tensor = _store(files, f"golden/{number}.{name}.{file}.bin", name, values[row])
                outputs.append(GoldenOutput(**tensor.model_dump(), artifact=file, max_abs_error=allowed))
        entries.append(
            Golden(
                label=None if labels is None else int(labels[row]),
                inputs=tuple(
                    _store(files, f"golden/{number}.{name}.bin", name, array[row])
                    for name, array in sorted(reference.samples.inputs.items())
                ),
                outputs=tuple(outputs),
            )
        )
    return tuple(entries), files


def _store(files: dict[str, bytes], path: str, name: str, row: Array) -> GoldenTensor:
    values = np.ascontiguousarray(row[None], dtype=row.dtype.newbyteorder("<"))
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
